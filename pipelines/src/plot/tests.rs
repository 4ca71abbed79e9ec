//! Each kind of panel: written, decoded, and looked at where its marks must be.

use std::path::Path;

use super::*;

struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

/// Saves into an empty folder, twice, and reads the file back.
fn picture(figure: &Figure<'_>) -> Picture {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("figure.png");
    figure.save(&file).unwrap();
    let first = std::fs::read(&file).unwrap();
    figure.save(&file).unwrap();
    assert_eq!(first, std::fs::read(&file).unwrap(), "the same data, the same bytes");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["figure.png"], "no temporary file stays");
    let mut reader = png::Decoder::new(std::io::Cursor::new(first)).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!(info.color_type, png::ColorType::Rgb);
    let pixels = bytes.chunks_exact(3).map(|rgb| [rgb[0], rgb[1], rgb[2]]).collect();
    Picture { width: info.width as usize, height: info.height as usize, pixels }
}

fn near(a: [u8; 3], b: [u8; 3], reach: u8) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= reach)
}

impl Picture {
    /// Places (x, y) of pixels within 12 levels of a colour.
    fn find(&self, colour: [u8; 3]) -> Vec<(usize, usize)> {
        let like = |index: &usize| near(self.pixels[*index], colour, 12);
        (0..self.pixels.len()).filter(like).map(|index| (index % self.width, index / self.width)).collect()
    }

    /// The frame of the plot within these columns: left, top, right, bottom. Its sides are the longest dark lines.
    fn frame(&self, columns: std::ops::Range<usize>) -> [usize; 4] {
        let dark = |x: usize, y: usize| self.pixels[y * self.width + x].iter().all(|&c| c < 110);
        let tall = |x: &usize| (0..self.height).filter(|&y| dark(*x, y)).count();
        let wide = |y: &usize| columns.clone().filter(|&x| dark(x, *y)).count();
        let upright: Vec<usize> = columns.clone().filter(|x| tall(x) > self.height / 3).collect();
        let level: Vec<usize> = (0..self.height).filter(|y| wide(y) > columns.len() / 2).collect();
        [upright[0], level[0], *upright.last().unwrap(), *level.last().unwrap()]
    }
}

const BLUE: [u8; 3] = [0, 114, 178];
const ORANGE: [u8; 3] = [213, 94, 0];

#[test]
fn size_and_rows_are_as_asked() {
    let panel = || Roc { title: "none", curves: &[] };
    let one = picture(&Figure::new("", [300, 200]).panel(panel()));
    assert_eq!((one.width, one.height), (300, 200));
    let figure = (0..3).fold(Figure::new("Three", [200, 200]).columns(2), |figure, _| figure.panel(panel()));
    let three = picture(&figure);
    assert_eq!((three.width, three.height), (400, 434));
    assert!(three.find([255; 3]).len() > 400 * 434 / 2);
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let lost = Path::new("/no/such/folder/figure.png");
    let failure = Figure::new("", [200, 200]).save(lost).unwrap_err().to_string();
    assert!(failure.starts_with("/no/such/folder/figure.png: "), "{failure}");
    let wide = (0..5).fold(Figure::new("", [4096, 200]), |f, _| f.panel(Roc { title: "", curves: &[] }));
    assert!(wide.save(Path::new("wide.png")).unwrap_err().to_string().contains("too large"));
}

#[test]
fn text_is_set_in_the_program_s_own_font() {
    let blank = picture(&Figure::new("", [200, 200]));
    let words = picture(&Figure::new("Å ² σ − ≤", [200, 200]));
    assert_eq!(blank.find([45, 45, 50]).len(), 0);
    assert!(words.find([45, 45, 50]).len() > 30);
}

/// Sorts cases into `bins` equal bins; those without a probability within 0..=1 are left out.
fn bins_of(cases: impl IntoIterator<Item = (f64, bool)>, bins: usize) -> Vec<Bin> {
    let mut found = vec![Bin::default(); bins.max(1)];
    for (p, came_true) in cases.into_iter().filter(|(p, _)| (0.0..=1.0).contains(p)) {
        let last = found.len() - 1;
        let bin = &mut found[((p * bins as f64) as usize).min(last)];
        bin.count += 1;
        bin.probability += (p - bin.probability) / bin.count as f64;
        bin.share += (f64::from(u8::from(came_true)) - bin.share) / bin.count as f64;
    }
    found
}

#[test]
fn honest_probabilities_lie_on_the_diagonal() {
    let cases = (0..1000).map(|i| (f64::from(i) / 1000.0, (i * 7919) % 1000 < i));
    let bins = bins_of(cases, 10);
    assert!(bins.iter().all(|bin| bin.count == 100));
    assert!(Bin::calibration_error(&bins).unwrap() < 0.03);
    let drawn = picture(&Figure::new("", [500, 600]).panel(Reliability { title: "Risk", bins: &bins }));
    let upper: Vec<_> = drawn.find(BLUE).into_iter().filter(|&(_, y)| y < 400).collect();
    // From the first bin's 0.05 to the last one's 0.95 dots and line rise from the lower left to the upper right.
    let left = upper.iter().min_by_key(|p| p.0).unwrap();
    let right = upper.iter().max_by_key(|p| p.0).unwrap();
    assert!(left.1 > right.1 + 200 && right.0 > left.0 + 300, "{left:?} {right:?}");
}

#[test]
fn calibration_error_by_hand() {
    // Two cases at 0.25, one true: |0.5 - 0.25| = 0.25. Two at 0.75, both true: 0.25. NaN and 1.5 are left out.
    let cases = [(0.25, true), (0.25, false), (0.75, true), (0.75, true), (f64::NAN, true), (1.5, true)];
    let bins = bins_of(cases, 2);
    assert_eq!(bins[0], Bin { count: 2, probability: 0.25, share: 0.5 });
    assert_eq!(Bin::calibration_error(&bins), Some(0.25));
    assert_eq!(Bin::calibration_error(&bins_of([], 5)), None);
}

#[test]
fn area_under_the_curve_by_counting_pairs() {
    let cases = [(0.9, true), (0.8, false), (0.8, true), (0.3, false), (0.3, true), (0.1, false), (f64::NAN, true)];
    // Pairs of a true and a false case: 0.9 wins 3; 0.8 wins 2, ties 1; 0.3 wins 1, ties 1: 7 of 9.
    let curve = Curve::of(cases).unwrap();
    assert!((curve.area - 7.0 / 9.0).abs() < 1e-12, "{}", curve.area);
    assert_eq!((curve.points[0], curve.points[curve.points.len() - 1]), ([0.0, 0.0], [1.0, 1.0]));
    assert_eq!(Curve::of([(0.5, true)]), None);
    let drawn = picture(&Figure::new("", [500, 500]).panel(Roc { title: "Risk", curves: &[("model", &curve)] }));
    let [left, top, right, bottom] = drawn.frame(0..500);
    let blueish = |index: &usize| near(drawn.pixels[*index], BLUE, 90) && drawn.pixels[*index][2] > 80;
    let places = (0..drawn.pixels.len()).filter(blueish).map(|index| (index % 500, index / 500));
    let line: Vec<(usize, usize)> = places.collect();
    // The curve's second point is (0, 1/3): the line runs up the left side, and along the top at the end.
    assert!(line.iter().any(|&(x, y)| x.abs_diff(left) < 4 && y.abs_diff(bottom - (bottom - top) / 4) < 6));
    assert!(line.iter().any(|&(x, y)| x.abs_diff(right - (right - left) / 6) < 20 && y.abs_diff(top) < 4));
}

#[test]
fn equal_slices_lie_on_the_diagonal() {
    let values: Vec<f64> = (0..=400).map(|i| f64::from(i) - 200.0).chain([f64::NAN, f64::INFINITY]).collect();
    let (reference, predicted) = (&values[..], &values[..]);
    let panel = Parity { title: "Aspirin", quantity: "force", unit: "meV/Å", reference, predicted };
    let drawn = picture(&Figure::new("", [500, 500]).panel(panel));
    let [left, top, right, bottom] = drawn.frame(0..500);
    let middle = ((left + right) / 2, (top + bottom) / 2);
    let coloured = |x: usize, y: usize| {
        let [r, g, b] = drawn.pixels[y * drawn.width + x];
        r.max(g).max(b) - r.min(g).min(b) > 60
    };
    assert!(coloured(middle.0, middle.1), "{middle:?}");
    for part in [0.2, 0.8] {
        // One scale on both axes: the diagonal passes through the middle at 45 degrees.
        let away = (part - 0.5) * (bottom - top) as f64;
        let (x, y) = ((middle.0 as f64 + away) as usize, (middle.1 as f64 - away) as usize);
        assert!((-3..=3).any(|d: isize| coloured(x, y.saturating_add_signed(d))), "{x} {y}");
        assert!(!coloured(x, bottom - (y - top)), "nothing off the diagonal");
    }
}

#[test]
fn a_gap_breaks_a_line_and_spikes_stay() {
    let x: Vec<f64> = (0..100_000).map(f64::from).collect();
    let mut y = vec![0.0; x.len()];
    y[40_000..60_000].fill(f64::NAN);
    y[80_123] = 1.0;
    let line = Line { name: "energy", x: &x, y: &y };
    let flat = Line { name: "zero", x: &[], y: &[] };
    let panel = Series { title: "Run", x_label: "time (fs)", y_label: "energy (eV)", lines: &[line, flat] };
    let drawn = picture(&Figure::new("", [640, 400]).panel(panel));
    let [left, top, right, bottom] = drawn.frame(0..640);
    let at = |part: f64| left + ((right - left) as f64 * part) as usize;
    let line = drawn.find(BLUE);
    let inside = |x: usize| line.iter().filter(|p| p.0 == x && (top + 2..bottom - 1).contains(&p.1)).count();
    assert!(inside(at(0.2)) > 0 && inside(at(0.7)) > 0);
    assert_eq!(inside(at(0.5)), 0);
    let highest = line.iter().filter(|p| p.0 > left && p.1 > top).map(|p| p.1).min().unwrap();
    assert!(highest < top + (bottom - top) / 6, "the spike is drawn");
}

#[test]
fn classes_have_their_colours_and_the_highest_point_shows() {
    // A square of road with a car above its left half; 40 stray points without a place.
    let mut points: Vec<[f32; 3]> = (0..10_000).map(|i| [(i % 100) as f32, (i / 100) as f32, 0.0]).collect();
    let mut truth = vec![9u8; points.len()];
    points.extend((0..5_000).map(|i| [(i % 50) as f32, (i / 50) as f32, 1.5]));
    truth.resize(points.len(), 1);
    points.extend([[f32::NAN, 0.0, 0.0]; 40]);
    truth.resize(points.len(), 6);
    let mut prediction = truth.clone();
    prediction[..5_000].fill(11); // the lower half of the road is called sidewalk
    let classes = ClassTable::SemanticKitti;
    let figure = Figure::new("Street", [500, 560])
        .panel(BirdsEye { title: "Truth", points: &points, labels: &truth, classes })
        .panel(Mistakes { title: "Mistakes", points: &points, prediction: &prediction, truth: &truth });
    let drawn = picture(&figure);
    let (car, road, wrong) = ([100, 150, 245], [216, 60, 216], [255, 40, 40]);
    let [left, top, right, bottom] = drawn.frame(0..500);
    let middle = (left + right) / 2;
    let within = |p: &&(usize, usize)| (top..bottom).contains(&p.1) && p.0 < 500;
    let (cars, roads) = (drawn.find(car), drawn.find(road));
    assert!(cars.iter().filter(within).count() > 10_000 && cars.iter().filter(within).all(|p| p.0 < middle));
    assert!(roads.iter().filter(within).count() > 10_000 && roads.iter().filter(within).all(|p| p.0 + 8 > middle));
    assert!(cars.iter().any(|p| p.1 > bottom + 20), "the legend has the car");
    let reds = drawn.find(wrong);
    let spread = |p: &&(usize, usize)| p.1 < bottom && p.1 > top;
    assert!(reds.iter().filter(spread).all(|p| p.0 > 500 && p.1 + 8 > (top + bottom) / 2));
    // Wrong points lie over right ones, under the car too: the whole lower half.
    assert!(reds.iter().filter(spread).count() > 3_000);
}

#[test]
fn a_hundred_thousand_points_are_quick() {
    let points: Vec<[f32; 3]> = (0..120_000u32)
        .map(|i| {
            let (angle, far) = (f64::from(i) * 0.61803, 2.0 + f64::from(i % 1_000) * 0.05);
            [(angle.cos() * far) as f32, (angle.sin() * far) as f32, (f64::from(i % 97) * 0.02) as f32]
        })
        .collect();
    let heights: Vec<f32> = points.iter().map(|p| p[2]).collect();
    let panel = Depth { title: "Sweep", points: &points, values: &heights, quantity: "height (m)" };
    let start = std::time::Instant::now();
    let drawn = picture(&Figure::new("", [800, 800]).panel(panel));
    assert!(start.elapsed().as_secs() < 20, "drawn twice in {:?}", start.elapsed());
    let yellow = drawn.pixels.iter().filter(|p| p[0] > 200 && p[1] > 200 && p[2] < 120).count();
    assert!(yellow > 1_000, "the highest are at the bright end: {yellow}");
}

/// A person who stands upright 2 m away with the arms out, 1.8 m tall.
pub(super) const STANDING: [[f32; 3]; 19] = [
    [0.0, 2.0, 0.9],
    [0.0, 2.0, 1.2],
    [0.0, 2.0, 1.5],
    [0.0, 2.0, 1.7],
    [-0.2, 2.0, 1.4],
    [-0.45, 2.0, 1.4],
    [-0.7, 2.0, 1.4],
    [0.2, 2.0, 1.4],
    [0.45, 2.0, 1.4],
    [0.7, 2.0, 1.4],
    [-0.1, 2.0, 0.9],
    [-0.1, 2.0, 0.5],
    [-0.1, 2.0, 0.1],
    [-0.1, 1.85, 0.0],
    [0.1, 2.0, 0.9],
    [0.1, 2.0, 0.5],
    [0.1, 2.0, 0.1],
    [0.1, 1.85, 0.0],
    [0.0, 2.0, 1.42],
];

#[test]
fn skeletons_stand_beside_each_other() {
    let shifted = STANDING.map(|[x, y, z]| [x + 0.05, y, z + 0.03]);
    let points = [[0.1, 2.0, 1.0], [f32::NAN, 2.0, 1.0], [-0.3, 2.1, 1.3]];
    let person = Person { title: "frame 1", truth: Some(&STANDING), prediction: Some(&shifted), points: &points };
    let empty = Person { title: "frame 2", truth: None, prediction: Some(&shifted), points: &[] };
    let drawn = picture(&side_by_side(Figure::new("Pose", [360, 700]), &[person, empty]));
    assert_eq!((drawn.width, drawn.height), (720, 734));
    let (blue, orange) = (drawn.find(BLUE), drawn.find(ORANGE));
    assert!(blue.len() > 200 && blue.iter().all(|p| p.0 < 360), "truth in the first frame only");
    assert!(orange.iter().any(|p| p.0 < 360) && orange.iter().any(|p| p.0 > 360));
    // From the front the arms span 1.4 m and the body 1.7 m, at one scale.
    let front: Vec<_> = blue.iter().filter(|p| p.1 < 370).collect();
    let span = |axis: fn(&(usize, usize)) -> usize| {
        let places = || front.iter().map(|p| axis(p));
        (places().max().unwrap() - places().min().unwrap()) as f64
    };
    let ratio = span(|p| p.0) / span(|p| p.1);
    assert!((ratio - 1.4 / 1.7).abs() < 0.06, "{ratio}");
}

#[test]
fn a_molecule_is_seen_in_its_plane() {
    // Water in a plane turned out of all axes: the oxygen between and below two hydrogens, H–O–H 104.5 degrees.
    let (u, v) = ([0.6, 0.0, 0.8], [0.0, 1.0, 0.0]);
    let flat = [[0.0, 0.0], [0.757, 0.586], [-0.757, 0.586]];
    let positions = flat.map(|[a, b]| [0, 1, 2].map(|k| a * u[k] + b * v[k]));
    let panel = Molecule { title: "Water", numbers: &[8, 1, 1], positions: &positions };
    let drawn = picture(&Figure::new("", [400, 400]).panel(panel));
    let plot =
        |p: &[u8; 3], r: bool| if r { p[0] > p[1].saturating_add(60) } else { p[0] == p[1] && p[0] > 80 && p[0] < 240 };
    let places = |red: bool| {
        let found = (0..drawn.pixels.len()).filter(|&i| plot(&drawn.pixels[i], red) && i / 400 < 330);
        found.map(|i| (i % 400, i / 400)).collect::<Vec<_>>()
    };
    let (oxygen, hydrogen) = (places(true), places(false));
    assert!(oxygen.len() > 1_000 && hydrogen.len() > 1_000);
    let mean = |spots: &[(usize, usize)]| spots.iter().map(|p| p.0).sum::<usize>() / spots.len();
    assert!(mean(&oxygen).abs_diff(200) < 6, "the oxygen is in the middle: {}", mean(&oxygen));
    assert!(hydrogen.iter().any(|p| p.0 < 90) && hydrogen.iter().any(|p| p.0 > 310));
}

#[test]
fn nothing_at_all_is_drawn_as_empty_axes() {
    let nan = [[f32::NAN; 3]];
    let figure = Figure::new("Empty", [240, 240])
        .columns(4)
        .panel(Reliability { title: "r", bins: &[] })
        .panel(Roc { title: "c", curves: &[] })
        .panel(Parity { title: "p", quantity: "e", unit: "", reference: &[1.0], predicted: &[f64::NAN] })
        .panel(Series { title: "s", x_label: "", y_label: "", lines: &[] })
        .panel(BirdsEye { title: "b", points: &nan, labels: &[1], classes: ClassTable::Asprs })
        .panel(Mistakes { title: "m", points: &[], prediction: &[], truth: &[] })
        .panel(Depth { title: "d", points: &nan, values: &[], quantity: "height (m)" })
        .panel(Molecule { title: "a", numbers: &[6], positions: &[] });
    let figure = side_by_side(figure, &[Person { title: "k", truth: None, prediction: None, points: &nan }]);
    let drawn = picture(&figure);
    assert_eq!((drawn.width, drawn.height), (960, 240 * 3 + 34));
    let one = Figure::new("", [200, 200])
        .panel(Depth { title: "one", points: &[[1e30, -1e30, 5.0]], values: &[5.0], quantity: "z" })
        .panel(Series {
            title: "",
            x_label: "",
            y_label: "",
            lines: &[Line { name: "", x: &[1e308, -1e308], y: &[0.0, 1e-300] }],
        })
        .panel(Molecule { title: "one", numbers: &[200], positions: &[[1e300; 3]] });
    picture(&one);
}
