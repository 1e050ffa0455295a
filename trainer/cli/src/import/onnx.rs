//! `import onnx`: any encoder whose input a front end makes.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use sensorium_core::feature::FrontEnd;
use sensorium_engine::classes::Classes;
use sensorium_engine::keys::from_toml;
use sensorium_engine::text::TextTower;
use sensorium_pack::{Modality, write_whole};
use serde::Deserialize;
use toml::{Table, Value};

use super::contents::{Contents, NewEncoder, Told};
use super::hub::family::EncoderPart;
use super::hub::net::{Between, Net};
use super::options::Options;
use crate::anchor::Anchor;

const EXAMPLE: &str = "Example:
  sensorium-train import onnx encoder.onnx --encoder encoder.toml --out imu.pack

encoder.toml says what the encoder takes, as a manifest does:
  modality = \"imu\"
  [front_end]
  kind = \"imu\"
  rate_hz = 50
  samples = 256
  units = \"m/s2,rad/s\"
  order = [\"gyro_x\", \"gyro_y\", \"gyro_z\", \"acc_x\", \"acc_y\", \"acc_z\"]

A net that was published as two files has the first one, and what happens between them, in
  before = { file = \"melspectrogram.onnx\", scale = 0.1, offset = 2.0 }";

/// Makes a pack of any encoder, of any sense, whose input is a front end's.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The encoder: features `[n, ...]` to embeddings `[n, D]`.
    #[arg(value_name = "FILE.onnx")]
    file: PathBuf,
    /// What it takes: modality, front_end, and perhaps output, temperature and before.
    #[arg(long, value_name = "E.toml")]
    encoder: PathBuf,
    /// Folder with the text model that its embeddings lie in the space of, for the words of --classes.
    #[arg(long, value_name = "DIR", requires = "classes")]
    text_model: Option<PathBuf>,
    /// The text model's name; `classify` asks for it.
    #[arg(long, value_name = "NAME", default_value = "all-MiniLM-L6-v2")]
    text_model_name: String,
    #[command(flatten)]
    options: Options,
}

/// What a file says of an encoder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EncoderFile {
    modality: Modality,
    /// Which output is the embedding, if there are several.
    output: Option<String>,
    /// Cosines are divided by it before the softmax.
    #[serde(default = "temperature")]
    temperature: f32,
    front_end: Table,
    /// A net whose output it takes, if it was published as two.
    before: Option<Before>,
}

/// A net before another one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Before {
    /// Its file, beside that of the other one.
    file: PathBuf,
    /// Its output is multiplied by this.
    #[serde(default = "one")]
    scale: f32,
    /// And then this is added.
    #[serde(default)]
    offset: f32,
}

fn one() -> f32 {
    1.0
}

fn temperature() -> f32 {
    0.1
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let part = read(&args.file, &args.encoder)?;
    let options = &args.options;
    let stem = args.file.file_stem().unwrap_or_default();
    let name = match &options.name {
        Some(name) => name.clone(),
        None => stem.to_string_lossy().into_owned(),
    };
    let classes = options.classes()?;
    let anchor = match (&args.text_model, &classes) {
        (Some(dir), Some(classes)) => words(args, dir, classes)?,
        _ => no_words(part.dim),
    };
    ensure!(
        anchor.dim() == part.dim,
        "{:?} gives {} numbers, and the text model {}",
        args.file,
        part.dim,
        anchor.dim()
    );
    let classes = classes.filter(|_| !anchor.prompts.is_empty());
    let mut contents = Contents::new(options.weights(), classes);
    contents.add_anchor(&name, anchor)?;
    let least = contents.add_encoder(NewEncoder::of(part, &name, &name))?;
    let command = format!("sensorium-train import onnx {}", stem.to_string_lossy());
    contents.tell(&name, &told(&name, options, &command), least);
    let pack = contents.finish(name)?;
    write_whole(&options.out, &pack).with_context(|| format!("writing {:?}", options.out))?;
    println!("{} bytes in {:?}", pack.len(), options.out);
    Ok(())
}

/// Where an encoder of a file comes from.
pub fn told(name: &str, options: &Options, command: &str) -> Told {
    Told {
        binding: format!(
            "Not trained here: the encoder {name}, as it was published. What its embeddings mean is for \
             its publisher to say."
        ),
        data: options.data.clone(),
        licence: options.licence_or(None),
        command: command.to_owned(),
    }
}

/// A space in which no word has a place: things are named by examples of them.
pub fn no_words(dim: usize) -> Anchor {
    Anchor {
        text_model: "no text model: things are named by examples".to_owned(),
        prompts: Vec::new(),
        rows: Vec::new(),
        centre: vec![0.0; dim],
    }
}

fn words(args: &Args, dir: &Path, classes: &Classes) -> anyhow::Result<Anchor> {
    let tower = TextTower::open(dir).with_context(|| format!("text model {dir:?}"))?;
    let prompts = classes.classes.iter().flat_map(|class| &class.prompts);
    let mut all: Vec<String> = Vec::new();
    for prompt in prompts.chain(&classes.background.prompts) {
        if !all.contains(prompt) {
            all.push(prompt.clone());
        }
    }
    let words: Vec<&str> = all.iter().map(String::as_str).collect();
    Ok(Anchor {
        text_model: args.text_model_name.clone(),
        rows: tower.embed(&words)?.concat(),
        centre: vec![0.0; tower.dim()],
        prompts: all,
    })
}

/// An encoder of an ONNX file and one that says what it takes.
///
/// # Errors
///
/// Files that are missing, not understood, or do not fit each other.
pub fn read(onnx: &Path, encoder: &Path) -> anyhow::Result<EncoderPart> {
    let text = std::fs::read_to_string(encoder).with_context(|| format!("reading {encoder:?}"))?;
    let file: EncoderFile =
        from_toml(&with_tables(&text)).with_context(|| format!("{encoder:?}"))?;
    let mut table = file.front_end;
    let channels_last = layout(&mut table).with_context(|| format!("{encoder:?}"))?;
    let front_end = FrontEnd::deserialize(Value::Table(table));
    let front_end = front_end.with_context(|| format!("{encoder:?}: front_end"))?;
    ensure!(
        file.modality.takes(&front_end),
        "{encoder:?}: a front end of kind {:?} is not for {}",
        front_end.kind(),
        file.modality
    );
    let processor = front_end.build();
    let shape = processor.with_context(|| format!("{encoder:?}: front_end"))?;
    let shape = shape.output_shape();
    let mut net = Net::open(onnx)?;
    match (&file.output, &net.outputs()[..]) {
        (Some(output), _) => net.keep(&[output])?,
        (None, [_]) => {}
        (None, several) => {
            bail!("{onnx:?} has the outputs {several:?}, say which by output in {encoder:?}")
        }
    }
    if let Some(Before {
        file,
        scale,
        offset,
    }) = file.before
    {
        let before = Net::open(&onnx.with_file_name(file))?;
        net = net.behind(before, Between { scale, offset })?;
    }
    if channels_last {
        net.channels_first()?;
    }
    net.ensure_takes(&shape)?;
    let (onnx, dim) = net.into_encoder(&shape)?;
    Ok(EncoderPart {
        modality: file.modality,
        front_end,
        onnx,
        dim,
        temperature: file.temperature,
    })
}

/// A TOML file whose values may be JSON's objects, on a line of their own, as some that write such files
/// have them: these become tables within the line.
fn with_tables(text: &str) -> String {
    let line = |line: &str| {
        let table = line.split_once('=').and_then(|(key, value)| {
            let table: Table = serde_json::from_str(value.trim()).ok()?;
            Some(format!("{key}= {}", Value::Table(table)))
        });
        table.unwrap_or_else(|| line.to_owned())
    };
    let lines: Vec<String> = text.lines().map(line).collect();
    lines.join("\n")
}

/// Brings what a file may say of inertial channels in words of its own to a manifest's: `units` as a
/// table, and a `layout`; whether channels come last.
fn layout(front_end: &mut Table) -> anyhow::Result<bool> {
    if front_end.get("kind").and_then(Value::as_str) != Some("imu") {
        return Ok(false);
    }
    if let Some(Value::Table(units)) = front_end.get("units") {
        let unit = |key: &str| units.get(key).and_then(Value::as_str);
        let (Some(acc), Some(gyro), 2) = (unit("acc"), unit("gyro"), units.len()) else {
            bail!("front_end.units is {units}, expected those of acc and of gyro");
        };
        let units = format!("{acc},{gyro}");
        front_end.insert("units".to_owned(), units.into());
    }
    match front_end.remove("layout") {
        None => Ok(false),
        Some(Value::String(layout)) if layout == "channels-first" => Ok(false),
        Some(Value::String(layout)) if layout == "channels-last" => Ok(true),
        Some(other) => {
            bail!("front_end.layout is {other}, expected \"channels-first\" or \"channels-last\"")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        text.parse().unwrap()
    }

    #[test]
    fn tables_may_be_written_as_json_has_them() {
        let text = "rate = 50\nunits = {\"acc\": \"g\", \"gyro\": \"deg/s\"}\norder = [1]\n";
        let read: Table = with_tables(text).parse().unwrap();
        assert_eq!(read["units"]["gyro"].as_str(), Some("deg/s"));
        assert_eq!((read["rate"].as_integer(), read.len()), (Some(50), 3));
        assert_eq!(
            with_tables("units = { acc = 'g' }"),
            "units = { acc = 'g' }"
        );
    }

    #[test]
    fn a_file_may_say_units_and_layout_in_words_of_its_own() {
        let mut own = table(
            "kind = 'imu'\nrate_hz = 50\nsamples = 8\nlayout = 'channels-last'\n\
             units = { gyro = 'deg/s', acc = 'g' }",
        );
        assert!(layout(&mut own).unwrap());
        let front_end = FrontEnd::deserialize(Value::Table(own)).unwrap();
        let FrontEnd::Imu { units, rate_hz, .. } = front_end else {
            panic!("another kind");
        };
        assert_eq!((units.as_str(), rate_hz), ("g,deg/s", 50.0));
        let error = |text: &str| layout(&mut table(text)).unwrap_err().to_string();
        assert!(error("kind = 'imu'\nlayout = 'rows'").contains("front_end.layout is \"rows\""));
        assert!(error("kind = 'imu'\nunits = { acc = 'g' }").contains("front_end.units is"));
        // Of other senses there is nothing to bring.
        let mut image = table("kind = 'image'\nlayout = 'x'");
        assert!(!layout(&mut image).unwrap() && image.contains_key("layout"));
    }
}
