//! Pictures, resized and cropped.

use std::collections::BTreeMap;

use sensorium_core::feature::{COLOUR_MEAN, COLOUR_STD, resized_and_cropped};
use sensorium_media::picture;
use serde::Deserialize;

use super::encoders::at;
use super::folder::Folder;
use super::report::{Report, Tolerance};

const DIR: &str = "images";
const FILE: &str = "images_expected.safetensors";
const GEOMETRY: &str = "image_resize_geometry.json";

/// Height and width of what encoders take.
const SIDE: usize = 224;

#[derive(Debug, Deserialize)]
struct Geometry {
    h: usize,
    w: usize,
    resized_w: usize,
    resized_h: usize,
    crop_top: usize,
    crop_left: usize,
}

/// Compares all pictures, byte by byte.
pub fn compare(folder: &Folder, report: &mut Report) -> anyhow::Result<()> {
    if folder.has(GEOMETRY) {
        let cases: Vec<Geometry> = folder.json(GEOMETRY)?;
        for (index, case) in cases.iter().enumerate() {
            let plan = resized_and_cropped(case.w, case.h, SIDE);
            let same = (plan.width, plan.height) == (case.resized_w, case.resized_h)
                && (plan.left, plan.top) == (case.crop_left, case.crop_top);
            report.same("geometry", format!("{GEOMETRY}: {index}"), same);
        }
    }
    if !folder.has(DIR) {
        return Ok(());
    }
    let expected = folder.vectors(FILE)?;
    let mut pictures = BTreeMap::new();
    for file in folder.files(DIR)? {
        let path = folder.path(DIR).join(&file);
        let picture = picture::open_rgb(&path)?;
        let name = file
            .rsplit_once('.')
            .map_or(file.as_str(), |(name, _)| name);
        pictures.insert(name.to_owned(), (picture.resize_and_crop(SIDE), file));
    }
    for (array, vector) in expected.iter() {
        let (name, kind) = array.rsplit_once('.').unwrap_or((array, ""));
        let Some((picture, file)) = pictures.get(name) else {
            continue;
        };
        let pixels = picture.pixels();
        let (actual, tolerance): (Vec<f64>, _) = match kind {
            "u8_hwc" => {
                let values = pixels.as_flattened().iter().map(|v| f64::from(*v));
                (values.collect(), Tolerance::Exact)
            }
            "normalised_chw" => {
                let value = |colour: usize| {
                    let scale = move |pixel: &[u8; 3]| {
                        let share = f32::from(pixel[colour]) / 255.0;
                        f64::from((share - COLOUR_MEAN[colour]) / COLOUR_STD[colour])
                    };
                    pixels.iter().map(scale)
                };
                ((0..3).flat_map(value).collect(), Tolerance::Absolute(1e-6))
            }
            _ => continue,
        };
        report.compare(
            "picture",
            at(FILE, array),
            &actual,
            &vector.values,
            tolerance,
        );
        report.same("picture", format!("{DIR}/{file}"), true);
    }
    Ok(())
}
