//! Lines in a picture, both axes logarithmic: what grows in proportion is a straight line.

use std::fmt::Write;

/// A picture.
pub(crate) struct Plot<'a> {
    pub(crate) title: &'a str,
    /// What is to the right; upwards are seconds.
    pub(crate) x: &'a str,
    pub(crate) lines: &'a [Line],
}

/// One line.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const MARGIN: f64 = 60.0;
const COLOURS: [&str; 4] = ["#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad"];

impl Line {
    pub(crate) fn named(name: &'static str) -> Self {
        Self { name, points: Vec::new() }
    }
}

/// The powers of ten between which all values are.
fn decades(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let low = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
    let high = values.fold(f64::NEG_INFINITY, f64::max).log10().ceil();
    if high > low { (low, high) } else { (low, low + 1.0) }
}

impl Plot<'_> {
    /// The picture.
    pub(crate) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| line.points.iter().copied());
        let (left, right) = decades(points().map(|(x, _)| x));
        let (bottom, top) = decades(points().map(|(_, y)| y));
        let across = |x: f64| MARGIN + (x.log10() - left) / (right - left) * (WIDTH - 2.0 * MARGIN);
        let up = |y: f64| HEIGHT - MARGIN - (y.log10() - bottom) / (top - bottom) * (HEIGHT - 2.0 * MARGIN);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
             <text x=\"{}\" y=\"24\" text-anchor=\"middle\" font-size=\"15\">{}</text>\n",
            WIDTH / 2.0,
            self.title
        );
        // Writing to a string cannot fail.
        let mut decade = left;
        while decade <= right {
            let x = across(10f64.powf(decade));
            let _ = writeln!(
                svg,
                "<path d=\"M{x:.1} {MARGIN}V{}\" stroke=\"#ddd\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                HEIGHT - MARGIN,
                HEIGHT - MARGIN + 18.0,
                10f64.powf(decade)
            );
            decade += 1.0;
        }
        let mut decade = bottom;
        while decade <= top {
            let y = up(10f64.powf(decade));
            let _ = writeln!(
                svg,
                "<path d=\"M{MARGIN} {y:.1}H{}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{y:.1}\" text-anchor=\"end\">{} s</text>",
                WIDTH - MARGIN,
                MARGIN - 6.0,
                10f64.powf(decade)
            );
            decade += 1.0;
        }
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            WIDTH / 2.0,
            HEIGHT - 14.0,
            self.x
        );
        for (number, (line, colour)) in self.lines.iter().zip(COLOURS).enumerate() {
            let places: Vec<String> =
                line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", across(*x), up(*y))).collect();
            let height = 44.0 + 16.0 * f64::from(u8::try_from(number).unwrap_or(u8::MAX));
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
                 <text x=\"{}\" y=\"{height}\" fill=\"{colour}\">{}</text>",
                places.join(" "),
                MARGIN + 8.0,
                line.name
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}
