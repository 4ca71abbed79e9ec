//! Named, typed fields of a point record, and the frame that they make: shared by the formats that describe their own records.
//!
//! Coordinates of type f32 are taken as they are. Of any other type they are f64: `f32(value − origin)`, see
//! [`OriginRule`](crate::points::origin::OriginRule). That takes the rows twice, so that no column of f64 is ever held.

use std::path::Path;
use std::sync::Arc;

use thalweg::{Frame, Truth};

use crate::error::{At, Error};
use crate::points::intensity::{SYNONYMS, scaled};
use crate::points::options::ReadOptions;
use crate::points::origin::lower_median;
use crate::points::rows::aliases;
use crate::points::scalar::Scalar;

/// One field of a record: a single number.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) scalar: Scalar,
}

/// Which field plays which part. A part's number is its place in the rows given to [`frame`].
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    /// For each part, the index of its field: x, y, z, then those that are there.
    pub(crate) fields: Vec<usize>,
    scalars: [Scalar; 3],
    intensity: Option<(usize, Scalar)>,
    /// Codes as they stand, or labels whose code the run's first frame tells.
    class: Option<(usize, Codes)>,
    instance: Option<usize>,
    /// Columns that the frame carries as they are, by name.
    carried: Vec<(String, usize)>,
}

/// What the numbers of a class are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Codes {
    /// The model's own.
    Own,
    /// See [`LabelCode`](crate::points::label::LabelCode).
    Label,
}

impl Parts {
    /// Finds the parts by their usual names; case and the prefix `scalar_` do not count. What is to be carried plays no other part.
    ///
    /// # Errors
    /// x, y or z missing.
    pub(crate) fn find(path: &Path, all: &[Field], options: &ReadOptions) -> Result<Parts, Error> {
        let plain = |field: &Field| {
            let name = field.name.to_lowercase();
            name.strip_prefix("scalar_").map(str::to_string).unwrap_or(name)
        };
        let find = |names: &[&str]| all.iter().position(|field| names.contains(&plain(field).as_str()));
        let need = |name: &str| {
            find(&[name]).ok_or_else(|| {
                let names: Vec<_> = all.iter().map(|f| f.name.as_str()).collect();
                Error::malformed(path, At::Field(name.into()), format!("fields {}", names.join(" ")), "x, y and z")
            })
        };
        let mut fields = vec![need("x")?, need("y")?, need("z")?];
        let scalars = [all[fields[0]].scalar, all[fields[1]].scalar, all[fields[2]].scalar];
        let mut part = |field: Option<usize>| {
            field.map(|field| {
                fields.push(field);
                fields.len() - 1
            })
        };
        let one_of = |names: &[&str], aliases: &[&str]| names.iter().chain(aliases).find_map(|name| find(&[name]));
        let intensity = one_of(&["intensity", "i"], SYNONYMS).filter(|_| !options.carries("intensity"));
        let intensity = part(intensity).zip(intensity.map(|field| all[field].scalar));
        let class = match find(&["label"]) {
            Some(label) => part(Some(label)).zip(Some(Codes::Label)),
            None => part(find(&["class", "classification"])).zip(Some(Codes::Own)),
        };
        let instance = part(find(&["instance"]));
        let carried = options.carry.iter().filter_map(|name| {
            let short: &[&str] = if name == "intensity" { &["intensity", "i"] } else { &[name] };
            Some((name.clone(), part(one_of(short, aliases(name)))?))
        });
        let carried = carried.collect();
        Ok(Parts { fields, scalars, intensity, class, instance, carried })
    }

    /// True if the axis is taken as f32, as it stands.
    fn narrow(&self, axis: usize) -> bool {
        self.scalars[axis] == Scalar::F32
    }
}

/// Makes a frame of `points` rows. `rows` calls its argument with the parts' values, `[parts.fields.len()]`, point by point,
/// and does the same each time it is called.
///
/// An intensity becomes 0–1 as [`intensity`](crate::points::intensity) has it. A column of classes or labels is left out, with a warning, where
/// a value is no whole number, or no class.
pub(crate) fn frame(
    path: &Path,
    options: &ReadOptions,
    parts: &Parts,
    points: usize,
    mut rows: impl FnMut(&mut dyn FnMut(&[f64])) -> Result<(), Error>,
) -> Result<Frame, Error> {
    let mut frame = Frame { path: Some(path.into()), ..Frame::default() };
    if points > 0 && (0..3).any(|axis| !parts.narrow(axis)) {
        frame.origin = options.origin.by(|| medians(points, &mut rows))?;
        for axis in (0..3).filter(|&axis| parts.narrow(axis)) {
            frame.origin[axis] = 0.0;
        }
    }
    let mut xyz = [(); 3].map(|()| Vec::with_capacity(points));
    let mut intensity = parts.intensity.map(|_| Vec::with_capacity(points));
    let mut class = parts.class.map(|_| Vec::with_capacity(points));
    let mut instance = parts.instance.map(|_| Vec::with_capacity(points));
    let mut carried: Vec<Vec<f32>> = parts.carried.iter().map(|_| Vec::with_capacity(points)).collect();
    let mut odd = None;
    let (origin, at) = (frame.origin, |part: Option<usize>| part.unwrap_or(0));
    let (at_intensity, at_class) = (at(parts.intensity.map(|part| part.0)), at(parts.class.map(|part| part.0)));
    let at_instance = at(parts.instance);
    rows(&mut |row| {
        for axis in 0..3 {
            xyz[axis].push((row[axis] - origin[axis]) as f32);
        }
        if let Some(column) = &mut intensity {
            column.push(row[at_intensity] as f32);
        }
        if let Some(column) = &mut class {
            let code = row[at_class];
            if odd.is_none() && !(code.fract() == 0.0 && (-2147483648.0..4294967296.0).contains(&code)) {
                odd = Some(code);
            }
            column.push(code as i64);
        }
        if let Some(column) = &mut instance {
            column.push(row[at_instance] as u32);
        }
        for (column, (_, part)) in carried.iter_mut().zip(&parts.carried) {
            column.push(row[*part] as f32);
        }
    })?;
    let [x, y, z] = xyz;
    (frame.x, frame.y, frame.z) = (x, y, z);
    frame.columns = parts.carried.iter().map(|(name, _)| Arc::from(name.as_str())).zip(carried).collect();
    if let Some((_, scalar)) = parts.intensity {
        frame.intensity = intensity.and_then(|column| scaled(column, scalar, path, options));
    }
    let class = class.zip(parts.class).and_then(|(column, (_, codes))| match codes {
        Codes::Label if odd.is_none() => Some(options.train_ids(&column, path)),
        Codes::Own if odd.is_none() => {
            odd = column.iter().find(|code| !(-1..256).contains(*code)).map(|&code| code as f64);
            odd.is_none().then(|| column.iter().map(|&code| u8::try_from(code).unwrap_or(0)).collect())
        }
        _ => None,
    });
    if let Some(odd) = odd {
        options.warn(
            "class",
            path,
            format!("found the class {odd}, expected whole numbers, 0 to 255: read without classes"),
        );
    }
    frame.truth = class.map(|class: Vec<u8>| {
        let instance = instance.take().unwrap_or_else(|| vec![0; class.len()]);
        Truth { class, instance }
    });
    Ok(frame)
}

/// The lower medians of the points whose three coordinates are finite, one axis at a time: a column of f64 lives at once.
fn medians(
    points: usize,
    rows: &mut impl FnMut(&mut dyn FnMut(&[f64])) -> Result<(), Error>,
) -> Result<Option<[f64; 3]>, Error> {
    let mut medians = [0.0; 3];
    for (axis, median) in medians.iter_mut().enumerate() {
        let mut values = Vec::with_capacity(points);
        rows(&mut |row| {
            if row[..3].iter().all(|v| v.is_finite()) {
                values.push(row[axis]);
            }
        })?;
        let Some(found) = lower_median(&mut values) else { return Ok(None) };
        *median = found;
    }
    Ok(Some(medians))
}
