//! A person's body: spheres along bones, in metres; x to the right of the camera's picture, y up, z
//! toward the camera.

use std::f64::consts::PI;

/// A point, or a direction.
pub type Vector = [f64; 3];

/// A part of a body.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ball {
    /// Its middle.
    pub at: Vector,
    /// Its radius.
    pub radius: f64,
    /// How much of the skin's warmth shows through what is worn, 0 to 1.
    pub warmth: f64,
}

/// Where hands, feet and trunk are, relative to the place where the person stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pose {
    /// How far the hips are below their height when standing.
    pub drop: f64,
    /// How far they are in front of it.
    pub forward: f64,
    /// How far the trunk leans to the front, in radians.
    pub lean: f64,
    /// The hand at the picture's left and right.
    pub hands: [Vector; 2],
    /// The foot at the picture's left and right.
    pub feet: [Vector; 2],
}

/// Hands of somebody who stands at ease.
pub const HANDS: [Vector; 2] = [[-0.26, 0.78, 0.05], [0.26, 0.78, 0.05]];

/// Feet of somebody who stands.
pub const FEET: [Vector; 2] = [[-0.11, 0.08, 0.0], [0.11, 0.08, 0.0]];

impl Default for Pose {
    fn default() -> Self {
        Self {
            drop: 0.0,
            forward: 0.0,
            lean: 0.0,
            hands: HANDS,
            feet: FEET,
        }
    }
}

/// Where the person is, and how upright.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Place {
    /// Where the feet are, in x and z.
    pub feet: [f64; 2],
    /// Where the person looks, in radians around the vertical; 0 is toward the camera.
    pub heading: f64,
    /// How far the whole body is tilted that way, from 0, upright, to 1, lying.
    pub tilt: f64,
}

/// Bones' half thickness, and distance of spheres along them.
const STEP: f64 = 0.03;

/// Height, radius and warmth of a person's parts, from the head down, as a ceiling sees them: limbs are hidden by
/// what is above them.
const FROM_ABOVE: [(f64, f64, f64); 8] = [
    (1.62, 0.13, 1.0),
    (1.45, 0.2, 0.8),
    (1.25, 0.25, 0.9),
    (1.05, 0.25, 0.9),
    (0.85, 0.22, 0.75),
    (0.65, 0.17, 0.6),
    (0.45, 0.15, 0.55),
    (0.25, 0.13, 0.5),
];

/// A person as a ceiling sees one.
#[must_use]
pub fn from_above(place: &Place) -> Vec<Ball> {
    let ball = |&(height, radius, warmth): &(f64, f64, f64)| Ball {
        at: place.of([0.0, height, 0.0]),
        radius,
        warmth,
    };
    FROM_ABOVE.iter().map(ball).collect()
}

impl Pose {
    /// The body as spheres.
    #[must_use]
    pub fn balls(&self, place: &Place) -> Vec<Ball> {
        let up = [0.0, self.lean.cos(), self.lean.sin()];
        let along = |from: Vector, by: f64| add(from, scale(up, by));
        let hips = [0.0, 0.95 - self.drop, self.forward];
        let chest = along(hips, 0.42);
        let head = along(hips, 0.68);
        let mut bones = vec![
            (hips, chest, 0.15, 0.16, 0.7),
            (chest, along(hips, 0.5), 0.16, 0.09, 0.8),
            (head, along(head, 0.05), 0.1, 0.1, 1.0),
        ];
        for (side, sign) in [-1.0, 1.0].into_iter().enumerate() {
            let shoulder = add(chest, [0.19 * sign, 0.05, 0.0]);
            let (elbow, hand) = reach(
                shoulder,
                self.hands[side],
                [0.29, 0.27],
                [0.3 * sign, -1.0, -0.4],
            );
            let hip = add(hips, [0.1 * sign, -0.03, 0.0]);
            let (knee, foot) = reach(hip, self.feet[side], [0.44, 0.43], [0.0, 0.0, 1.0]);
            bones.extend([
                (shoulder, elbow, 0.055, 0.05, 0.7),
                (elbow, hand, 0.045, 0.045, 0.9),
                (hip, knee, 0.085, 0.065, 0.6),
                (knee, foot, 0.06, 0.05, 0.5),
                (foot, add(foot, [0.0, -0.03, 0.12]), 0.05, 0.04, 0.4),
            ]);
        }
        let mut balls = Vec::new();
        for (from, to, first, last, warmth) in bones {
            let steps = (length(sub(to, from)) / STEP) as usize + 1;
            for step in 0..=steps {
                let share = step as f64 / steps as f64;
                balls.push(Ball {
                    at: place.of(add(from, scale(sub(to, from), share))),
                    radius: first + (last - first) * share,
                    warmth,
                });
            }
        }
        balls
    }
}

impl Place {
    /// Where a point of the body is.
    fn of(&self, [x, y, z]: Vector) -> Vector {
        // It falls around its feet, and lies on its front, which is as thick as it is.
        let (sin, cos) = (self.tilt * PI / 2.0).sin_cos();
        let (y, z) = (y * cos - z * sin + 0.12 * sin, y * sin + z * cos);
        let (sin, cos) = self.heading.sin_cos();
        [
            self.feet[0] + x * cos + z * sin,
            y,
            self.feet[1] - x * sin + z * cos,
        ]
    }
}

/// The joint between two bones, and the end, of a limb that reaches from one point toward another as far
/// as it can; the joint bends toward `hint`.
fn reach(from: Vector, to: Vector, [upper, lower]: [f64; 2], hint: Vector) -> (Vector, Vector) {
    let way = sub(to, from);
    let distance = length(way).clamp(1e-6, (upper + lower) * 0.999);
    let unit = scale(way, 1.0 / length(way).max(1e-6));
    let along = (upper * upper - lower * lower + distance * distance) / (2.0 * distance);
    let aside = (upper * upper - along * along).max(0.0).sqrt();
    let bend = sub(hint, scale(unit, dot(unit, hint)));
    let bend = scale(bend, 1.0 / length(bend).max(1e-6));
    let joint = add(from, add(scale(unit, along), scale(bend, aside)));
    (joint, add(from, scale(unit, distance)))
}

fn add(a: Vector, b: Vector) -> Vector {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

fn sub(a: Vector, b: Vector) -> Vector {
    add(a, scale(b, -1.0))
}

fn scale(a: Vector, by: f64) -> Vector {
    a.map(|value| value * by)
}

fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn length(a: Vector) -> f64 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limb_keeps_its_length_and_reaches_what_it_can() {
        for to in [[0.1, -0.3, 0.2], [0.0, 0.0, 0.4], [2.0, 1.0, 0.0]] {
            let (joint, end) = reach([0.0; 3], to, [0.29, 0.27], [0.3, -1.0, -0.4]);
            assert!((length(joint) - 0.29).abs() < 2e-3, "{joint:?}");
            assert!((length(sub(end, joint)) - 0.27).abs() < 2e-3, "{end:?}");
            if length(to) < 0.55 {
                assert!(length(sub(end, to)) < 1e-9);
            }
        }
    }

    #[test]
    fn who_stands_is_tall_and_who_lies_is_long() {
        let extent = |place: Place, axis: usize| {
            let balls = Pose::default().balls(&place);
            let ends = balls.iter().map(|ball| ball.at[axis] + ball.radius);
            ends.fold(0.0, f64::max)
        };
        let standing = extent(Place::default(), 1);
        assert!((1.7..1.85).contains(&standing), "{standing}");
        let lying = Place {
            tilt: 1.0,
            ..Place::default()
        };
        assert!(extent(lying, 1) < 0.6, "{}", extent(lying, 1));
        assert!((1.6..1.9).contains(&extent(lying, 2)));
    }
}
