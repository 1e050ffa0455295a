//! Times one encoder of a pack, or the text tower of one of its spaces:
//! `pack_speed PACK NAME [WORDS]`, where NAME is the encoder's, or with WORDS the space's.
//!
//! It prints the milliseconds from before the pack is opened to after the first embedding, the self-test
//! included; then, for every line on stdin, those of one more embedding, so that whoever drives it can take
//! turns with another program. See `trainer/bench/import`.

use std::error::Error;
use std::io::{BufRead, stdin};
use std::path::Path;
use std::time::Instant;

use sensorium_engine::encode::Encoder;
use sensorium_engine::space::Space;
use sensorium_pack::Pack;
use sensorium_pack::npy::Array;

type Embed = Box<dyn Fn() -> Result<f32, Box<dyn Error>>>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: pack_speed PACK NAME [WORDS]";
    let (path, name, words) = (
        args.next().ok_or(usage)?,
        args.next().ok_or(usage)?,
        args.next(),
    );
    let start = Instant::now();
    let pack = Pack::open(Path::new(&path))?;
    let embed: Embed = match words {
        Some(words) => {
            let space = Space::load(&pack, &name)?;
            let words = [words];
            Box::new(move || Ok(space.class_vector(&words)?[0]))
        }
        None => {
            let mut encoders = pack.manifest().encoders.iter();
            let entry = encoders.find(|encoder| encoder.name == name);
            let entry = entry.ok_or("there is no such encoder")?;
            let encoder = Encoder::load_entry(&pack, entry)?;
            let input = Array::from_bytes(pack.member(&entry.golden.input)?)?;
            let first = input.rows().next().unwrap_or_default().to_vec();
            Box::new(move || Ok(encoder.run(&first)?[0]))
        }
    };
    let mut sum = embed()?;
    println!("{:.3}", start.elapsed().as_secs_f64() * 1e3);
    for line in stdin().lock().lines() {
        line?;
        let start = Instant::now();
        sum += embed()?;
        println!("{:.4}", start.elapsed().as_secs_f64() * 1e3);
    }
    eprintln!("{sum}");
    Ok(())
}
