//! What processors of pictures say, as a front end.

use anyhow::{Context, bail, ensure};
use sensorium_core::feature::{CropRounding, ImageSpec, Interpolation, Passes, Resize};
use serde_json::Value;

use super::keys::Keys;

mod kinds;
#[cfg(test)]
mod tests;

use kinds::{KNOWN, Kind, Size, Zoom};

/// Sides from which on ConvNeXt's processor cuts nothing off.
const WHOLE_FROM: usize = 384;

/// The front end of a processor's file.
///
/// # Errors
///
/// A processor of another kind, a key that is not understood, or one that asks for what no front end
/// does.
pub fn front_end(mut keys: Keys) -> anyhow::Result<ImageSpec> {
    let place = keys.place().to_owned();
    let class: Option<String> = keys.take("image_processor_type")?;
    let old: Option<String> = keys.take("feature_extractor_type")?;
    let known = || format!("expected that of {}", KNOWN.join(", "));
    let class = class.or(old);
    let class =
        class.with_context(|| format!("{place} has no \"image_processor_type\", {}", known()))?;
    let kind = Kind::of(&class);
    let kind =
        kind.with_context(|| format!("{place}: processor {class:?} is not known, {}", known()))?;
    ensure!(
        keys.take("do_resize")?.unwrap_or(true),
        "{place}: \"do_resize\" is false, and pictures of any size are embedded"
    );
    let (resize, crop) = sides(&mut keys, &kind)?;
    let resample: Option<i64> = keys.take("resample")?;
    let interpolation = match resample.unwrap_or(kind.resample) {
        kinds::NEAREST => Interpolation::Nearest,
        kinds::LANCZOS => Interpolation::Lanczos,
        kinds::BILINEAR => Interpolation::Bilinear,
        kinds::BICUBIC => Interpolation::Bicubic,
        kinds::BOX => Interpolation::Box,
        kinds::HAMMING => Interpolation::Hamming,
        other => {
            bail!("{place}: \"resample\" is {other}, expected 0 to 5, as Pillow counts filters")
        }
    };
    let levels = levels(&mut keys, &kind)?;
    let bgr = match kind.bgr {
        true => keys.take("do_flip_channel_order")?.unwrap_or(true),
        false => false,
    };
    keys.only("data_format", "channels_first")?;
    keys.only("do_resize_and_center_crop", true)?;
    let converts = keys.take("do_convert_rgb")?.unwrap_or(true);
    // Pictures of any kind become colours of 8 bits, whatever a processor does without being told; and
    // labels are those of segmentations.
    keys.pass(&[
        "input_data_format",
        "processor_class",
        "return_tensors",
        "_valid_processor_keys",
        "device",
        "disable_grouping",
        "do_reduce_labels",
        "reduce_labels",
    ]);
    keys.finish()?;
    Ok(ImageSpec {
        resize,
        interpolation,
        passes: Passes::Pillow13,
        crop,
        crop_rounding: CropRounding::Down,
        rescale: levels.rescale,
        mean: levels.mean,
        std: levels.std,
        background: kind.background.filter(|_| converts),
        bgr,
    })
}

/// What pictures are resized to, and what is cut out of them.
fn sides(keys: &mut Keys, kind: &Kind) -> anyhow::Result<(Resize, Option<[usize; 2]>)> {
    let place = keys.place().to_owned();
    let square: Option<bool> = keys.take("default_to_square")?;
    let mut size = match keys.take("size")? {
        Some(value) => self::size(&place, &value, square.unwrap_or(kind.square))?,
        None => kind.size,
    };
    let crop = keys.take::<Value>("crop_size")?;
    let crops = keys.take("do_center_crop")?.unwrap_or(kind.crops);
    let mut crop = match (crops, crop) {
        (false, _) => None,
        (true, Some(value)) => match self::size(&place, &value, true)? {
            Size::Both(sides) => Some(sides),
            Size::Shorter(_) => {
                bail!("{place}: \"crop_size\" is {value}, expected height and width")
            }
        },
        (true, None) => Some([kind.crop; 2]),
    };
    let share = |keys: &mut Keys, share: f64| -> anyhow::Result<f64> {
        let share = keys.take("crop_pct")?.unwrap_or(share);
        let is_share = share > 0.0 && share <= 1.0;
        ensure!(
            is_share,
            "{place}: \"crop_pct\" is {share}, expected a share of 1"
        );
        Ok(share)
    };
    match kind.zoom {
        Zoom::Plain => {}
        Zoom::MiddleOrBoth(usual) => {
            let share = share(keys, usual)?;
            let Size::Shorter(side) = size else {
                bail!("{place}: \"size\" is {size:?}, expected shortest_edge");
            };
            ensure!(
                crop.is_none(),
                "{place}: \"do_center_crop\" is true, and this kind of processor crops by \"crop_pct\""
            );
            if side < WHOLE_FROM {
                crop = Some([side; 2]);
                size = Size::Shorter((side as f64 / share) as usize);
            } else {
                size = Size::Both([side; 2]);
            }
        }
        Zoom::Share(usual) => {
            let share = share(keys, usual)?;
            size = match size {
                Size::Shorter(side) => Size::Shorter((side as f64 / share) as usize),
                Size::Both([height, width]) if height == width => {
                    Size::Shorter((height as f64 / share) as usize)
                }
                Size::Both(sides) => Size::Both(sides.map(|side| (side as f64 / share) as usize)),
            };
        }
        Zoom::Times(times) => {
            if let Size::Shorter(side) = size {
                size = Size::Shorter((times * side as f64) as usize);
            }
        }
    }
    let resize = match size {
        Size::Shorter(side) => Resize::ShorterSide(side),
        Size::Both(sides) => Resize::Exact(sides),
    };
    Ok((resize, crop))
}

/// What becomes of the levels of a colour: `(level * rescale - mean) / std`.
struct Levels {
    rescale: f64,
    mean: [f64; 3],
    std: [f64; 3],
}

fn levels(keys: &mut Keys, kind: &Kind) -> anyhow::Result<Levels> {
    let factor: Option<f64> = keys.take("rescale_factor")?;
    let rescales = keys.take("do_rescale")?.unwrap_or(true);
    let rescale = match rescales {
        true => factor.unwrap_or(1.0 / 255.0),
        false => 1.0,
    };
    let mean: Option<[f64; 3]> = keys.take("image_mean")?;
    let std: Option<[f64; 3]> = keys.take("image_std")?;
    let std = std.unwrap_or(kind.std);
    let Some(usual) = kind.mean else {
        keys.only("do_normalize", false)?;
        let (mean, std) = ([0.0; 3], [1.0; 3]);
        return Ok(Levels { rescale, mean, std });
    };
    let (mut mean, mut divisor) = match keys.take("do_normalize")?.unwrap_or(true) {
        true => (mean.unwrap_or(usual), std),
        false => ([0.0; 3], [1.0; 3]),
    };
    if kind.twice {
        // EfficientNet's: `rescale_offset` takes 1 off what is rescaled, `include_top` divides again.
        let offset = keys.take("rescale_offset")?.unwrap_or(false);
        if offset && rescales {
            mean = mean.map(|mean| mean + 1.0);
        }
        if keys.take("include_top")?.unwrap_or(true) {
            divisor = [0, 1, 2].map(|colour| divisor[colour] * std[colour]);
        }
    }
    Ok(Levels {
        rescale,
        mean,
        std: divisor,
    })
}

/// A size as processors write it: a number, or an object with names of sides.
fn size(place: &str, value: &Value, square: bool) -> anyhow::Result<Size> {
    let side = |value: &Value| value.as_u64().and_then(|side| usize::try_from(side).ok());
    if let Some(side) = side(value) {
        return Ok(match square {
            true => Size::Both([side; 2]),
            false => Size::Shorter(side),
        });
    }
    let sides = value.as_object().map(|sides| {
        let sides = sides.iter().filter(|(_, side)| !side.is_null());
        let mut sides: Vec<_> = sides
            .map(|(name, value)| (name.as_str(), side(value)))
            .collect();
        sides.sort();
        sides
    });
    match sides.as_deref() {
        Some(&[("shortest_edge", Some(side))]) => Ok(Size::Shorter(side)),
        Some(&[("height", Some(height)), ("width", Some(width))]) => {
            Ok(Size::Both([height, width]))
        }
        _ => bail!(
            "{place}: size {value} is not understood, expected shortest_edge, or height and width"
        ),
    }
}
