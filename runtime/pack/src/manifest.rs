//! What `manifest.json` says.

use std::collections::BTreeMap;
use std::fmt;

use sensorium_core::feature::{FramesOf, FrontEnd, WordsSpec};
use serde::{Deserialize, Serialize};

/// The manifest's name in the pack.
pub const MANIFEST: &str = "manifest.json";

/// What every manifest says it is.
pub const FORMAT: &str = "sensorium-pack";

/// The version of the format that this package reads and writes.
pub const VERSION: u32 = 1;

/// The table of contents of a pack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// The pack's name, as events carry it.
    pub name: String,
    /// Embedding spaces; cosines of different spaces never meet.
    pub spaces: Vec<Space>,
    /// Encoders, each into one of the spaces.
    pub encoders: Vec<Encoder>,
    /// Member with the default classes (`classes.toml`).
    pub classes: String,
    /// Where the weights come from.
    pub provenance: Vec<Provenance>,
    /// Every other member of the pack.
    pub members: Vec<Member>,
}

/// One embedding space: the coordinates of some encoders, and words in them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Space {
    /// Its name within the pack.
    pub name: String,
    /// Dimensions of an embedding.
    pub dim: usize,
    /// How words get into a space whose axes are names; elsewhere the text model's embeddings, centred,
    /// are in it as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resemblance: Option<Resemblance>,
    /// The text model whose embeddings the space is made of. `classes build --text-model` takes
    /// the same one for new words.
    pub text_model: String,
    /// Member `.npy` `[dim]`, or as many as the text model gives where words only resemble names:
    /// subtracted from every text embedding.
    pub centre: String,
    /// Member with a JSON list of phrases whose embeddings are included.
    pub prompts: String,
    /// Member `.npy` `[prompts, dim]`: their text embeddings, not centred.
    pub prompt_rows: String,
    /// A text tower for words that are not among the phrases; without it, these need the text model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tower: Option<Tower>,
}

/// Words as what they resemble: a space of what a classifier says, an axis a name and one more.
///
/// A word is at the shares of 1 that a softmax over its cosines to the names gives each, and on the last
/// axis at what brings its length to 1. What a sensor's encoder gives is 0 there, so that a cosine is what
/// the classifier says of the names, weighed by those shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resemblance {
    /// Member `.npy` `[names, D]`: the names by the text model, centred, of length 1.
    pub names: String,
    /// Divides the cosines before the softmax.
    pub temperature: f32,
}

/// A text tower: the text model of its space itself, or what stands in for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tower {
    /// Member with the ONNX file: `input_ids` and perhaps `attention_mask`, `token_type_ids` and
    /// `position_ids` `[n, tokens]` to `[n, tokens, dim]` or, of one that pools by itself, `[n, dim]`.
    pub model: String,
    /// Member with its tokenizer (`tokenizer.json`); none where `words` names one that the runtime has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    /// Member with what a stand-in was made of and how near it is to the text model, as JSON; none if
    /// it is the text model itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// Member with the words that a stand-in was taught, as a Bloom filter of 8 bits a word: others are
    /// told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taught: Option<String>,
    /// How its input and its embedding are made; as of a sentence encoder by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<WordsSpec>,
    /// What turns what was pooled into the embedding, if anything does, layer after layer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projection: Vec<Layer>,
}

/// A dense layer after the pooling of a text tower.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Member `.npy` `[outputs, inputs]`.
    pub weight: String,
    /// Member `.npy` `[outputs]`, added to the product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias: Option<String>,
    /// What is done to the sum.
    #[serde(default)]
    pub activation: Activation,
}

/// What is done to the sums of a dense layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// Nothing.
    #[default]
    Identity,
    /// The hyperbolic tangent.
    Tanh,
}

/// One encoder and what it takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    /// Its name within the pack.
    pub name: String,
    /// The sense that it hears.
    pub modality: Modality,
    /// Name of the space that it embeds into.
    pub space: String,
    /// Member with the ONNX file: one input `[n, ...]`, one output `[n, dim]`, normalised.
    pub model: String,
    /// How its input is made.
    pub front_end: FrontEnd,
    /// How its cosines become scores and events.
    pub scoring: Scoring,
    /// What it must give for a stored input.
    pub golden: Golden,
}

/// A sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    /// Acceleration and angular rate.
    Imu,
    /// Sound.
    Audio,
    /// Long-wave infrared.
    Thermal,
    /// Distance images.
    Depth,
    /// Pictures.
    Image,
    /// Words.
    Text,
}

/// A word that is no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected imu, audio, thermal, depth, image or text")]
pub struct ModalityError;

impl std::str::FromStr for Modality {
    type Err = ModalityError;

    fn from_str(name: &str) -> Result<Self, ModalityError> {
        let known = Self::ALL.into_iter().find(|sense| sense.name() == name);
        known.ok_or(ModalityError)
    }
}

impl Modality {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Imu,
        Self::Audio,
        Self::Thermal,
        Self::Depth,
        Self::Image,
        Self::Text,
    ];

    /// As commands, manifests and events have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Imu => "imu",
            Self::Audio => "audio",
            Self::Thermal => "thermal",
            Self::Depth => "depth",
            Self::Image => "image",
            Self::Text => "text",
        }
    }

    /// Whether a front end makes this sense's inputs. Thermal pictures may be taken for pictures in
    /// colours; words have no front end.
    #[must_use]
    pub fn takes(self, front_end: &FrontEnd) -> bool {
        match front_end {
            FrontEnd::Imu { .. } => self == Self::Imu,
            FrontEnd::LogMel(_) | FrontEnd::Wave(_) => self == Self::Audio,
            FrontEnd::Image(_) => matches!(self, Self::Image | Self::Thermal),
            FrontEnd::Thermal(_) => self == Self::Thermal,
            FrontEnd::Depth(_) => self == Self::Depth,
            FrontEnd::Frames(spec) => match spec.of {
                FramesOf::Depth => self == Self::Depth,
                FramesOf::Thermal => self == Self::Thermal,
            },
        }
    }
}

impl fmt::Display for Modality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How cosines become scores, and scores events.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scoring {
    /// Cosines are divided by it before the softmax.
    pub temperature: f32,
    /// Score at which an event begins.
    pub enter: f32,
    /// Score below which it is over.
    pub exit: f32,
}

/// A self-test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// Member `.npy` with inputs of the encoder.
    pub input: String,
    /// Member `.npy` with the embeddings that these gave when the pack was made.
    pub output: String,
    /// Largest difference that is still the same.
    pub max_abs: f32,
}

/// Where one encoder comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Name of the encoder.
    pub encoder: String,
    /// What its embeddings were bound to, in plain words.
    pub binding: String,
    /// What it was trained on.
    pub data: Vec<DataSet>,
    /// How training and held-out data were divided.
    pub split: String,
    /// The command that made it.
    pub command: String,
    /// The seed of that command.
    pub seed: u64,
    /// The commit of the repository that the command's recipe was in when it began, with `-dirty` behind it
    /// if files of that repository were changed; none if it was in no git repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// What was measured on data that it was not trained on, by name.
    pub metrics: BTreeMap<String, f64>,
}

/// A data set that weights were trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSet {
    /// Its name and where it is described.
    pub name: String,
    /// Its licence or terms, and what they ask for.
    pub licence: String,
}

/// One member of the pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its path in the zip.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// The encoder for a sense, if the pack has one.
    #[must_use]
    pub fn encoder(&self, modality: Modality) -> Option<&Encoder> {
        self.encoders
            .iter()
            .find(|encoder| encoder.modality == modality)
    }

    /// The space of that name.
    #[must_use]
    pub fn space(&self, name: &str) -> Option<&Space> {
        self.spaces.iter().find(|space| space.name == name)
    }

    /// Every member that spaces, encoders and classes refer to.
    pub fn referenced(&self) -> impl Iterator<Item = &str> {
        let spaces = self
            .spaces
            .iter()
            .flat_map(|space| [&space.centre, &space.prompts, &space.prompt_rows]);
        let names = { self.spaces.iter() }.filter_map(|space| space.resemblance.as_ref());
        let names = names.map(|resemblance| &resemblance.names);
        let towers = { self.spaces.iter() }.filter_map(|space| space.tower.as_ref());
        let towers = towers.flat_map(|tower| {
            let layers = tower.projection.iter();
            let layers = layers.flat_map(|layer| [&layer.weight].into_iter().chain(&layer.bias));
            [&tower.model]
                .into_iter()
                .chain(&tower.tokenizer)
                .chain(&tower.report)
                .chain(&tower.taught)
                .chain(layers)
        });
        let encoders = self.encoders.iter().flat_map(|encoder| {
            [
                &encoder.model,
                &encoder.golden.input,
                &encoder.golden.output,
            ]
        });
        spaces
            .chain(names)
            .chain(towers)
            .chain(encoders)
            .chain([&self.classes])
            .map(String::as_str)
    }
}
