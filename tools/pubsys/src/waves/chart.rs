//! The curve as an SVG image: above, how much of the fleet is released and updated; below, how many hosts update in a
//! step, and what they fetch.

use super::simulation::{Bytes, Curve, Elapsed, Step, share};
use std::fmt::Write;

/// Units of the image; a viewer scales them.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 600.0;
const LEFT: f64 = 140.0;
const RIGHT: f64 = 940.0;

/// Spans between marks of the time axis, in seconds.
const MARKS: [u64; 12] =
    [60, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 604_800, 2_419_200];

/// At most so many marks find room for their labels.
const MOST_MARKS: u64 = 12;

/// A part of the image with an axis of its own. Its values go from 0 to `top`.
struct Panel {
    name: &'static str,
    upper: f64,
    lower: f64,
    top: u64,
}

impl Panel {
    fn height(&self, value: u64) -> f64 {
        self.lower - share(value, self.top) * (self.lower - self.upper)
    }
}

impl Curve {
    /// The image; `title` is text for people.
    pub(super) fn svg(&self, title: &str) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
             <text x=\"{LEFT}\" y=\"26\" font-size=\"16\">{}: {} hosts</text>\n",
            escaped(title),
            self.hosts
        );
        let fleet = Panel { name: "of the fleet", upper: 60.0, lower: 300.0, top: self.hosts };
        let hosts = Panel { name: "updates in a step", upper: 350.0, lower: 550.0, top: nice(self.peak().1) };
        self.marks_of_time(&mut svg, &[&fleet, &hosts]);
        for quarter in 0..=4_u32 {
            let label = format!("{} %", quarter * 25);
            let y = fleet.lower - f64::from(quarter) / 4.0 * (fleet.lower - fleet.upper);
            mark_of_value(&mut svg, y, &label);
            let value = hosts.top * u64::from(quarter) / 4;
            let bytes = self.delta_bytes.map(|delta| u128::from(delta) * u128::from(value));
            let bytes = bytes.map(|bytes| format!(" ({})", Bytes(bytes))).unwrap_or_default();
            mark_of_value(&mut svg, hosts.height(value), &format!("{value}{bytes}"));
        }
        for panel in [&fleet, &hosts] {
            let y = panel.upper - 10.0;
            put(&mut svg, &format!("<text x=\"{LEFT}\" y=\"{y}\" fill=\"#555\">{}</text>", panel.name));
        }
        // The totals at the ends of steps, from nothing at the start.
        let totals =
            |of: fn(&Step) -> u64| std::iter::once(0).chain(self.totals().map(move |total| of(&total)));
        self.line(&mut svg, &fleet, Stroke::Released, totals(|total| total.released));
        self.line(&mut svg, &fleet, Stroke::Updated, totals(|total| total.updated));
        let steps = std::iter::once(0).chain(self.steps.iter().map(|step| step.updated));
        self.line(&mut svg, &hosts, Stroke::Updated, steps);
        for (stroke, x) in [(Stroke::Released, 780.0), (Stroke::Updated, 870.0)] {
            let (name, color) = stroke.look();
            put(&mut svg, &format!("<text x=\"{x}\" y=\"26\" fill=\"{color}\">— {name}</text>"));
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// Where the end of a number of steps is.
    fn x(&self, steps: usize) -> f64 {
        LEFT + share(steps as u64, self.steps.len() as u64) * (RIGHT - LEFT)
    }

    fn line(&self, svg: &mut String, panel: &Panel, stroke: Stroke, values: impl Iterator<Item = u64>) {
        let (name, color) = stroke.look();
        let mut points = String::new();
        for (steps, value) in values.enumerate() {
            let blank = if steps == 0 { "" } else { " " };
            let (x, y) = (self.x(steps), panel.height(value));
            write!(points, "{blank}{x:.1},{y:.1}").expect("a string takes all");
        }
        put(
            svg,
            &format!(
                "<polyline class=\"{name}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\" points=\"{points}\"/>"
            ),
        );
    }

    fn marks_of_time(&self, svg: &mut String, panels: &[&Panel]) {
        let end = self.steps.len() as u64 * self.step_secs;
        let between = MARKS.into_iter().find(|span| end / span <= MOST_MARKS);
        let between = between.unwrap_or(end / MOST_MARKS).max(1);
        for mark in 0..=end / between {
            let seconds = mark * between;
            let x = LEFT + share(seconds, end) * (RIGHT - LEFT);
            for Panel { upper, lower, .. } in panels {
                put(
                    svg,
                    &format!(
                        "<path d=\"M{x:.1} {upper}V{lower}\" stroke=\"#ddd\" stroke-width=\"1\" fill=\"none\"/>"
                    ),
                );
                let below = lower + 16.0;
                put(
                    svg,
                    &format!(
                        "<text x=\"{x:.1}\" y=\"{below}\" text-anchor=\"middle\">{}</text>",
                        Elapsed(seconds)
                    ),
                );
            }
        }
    }
}

/// What a line is of.
#[derive(Clone, Copy)]
enum Stroke {
    Released,
    Updated,
}

impl Stroke {
    /// Its name, and a color that also those tell apart who see few.
    fn look(self) -> (&'static str, &'static str) {
        match self {
            Self::Released => ("released", "#e69f00"),
            Self::Updated => ("updated", "#0072b2"),
        }
    }
}

fn mark_of_value(svg: &mut String, y: f64, label: &str) {
    put(
        svg,
        &format!("<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"#ddd\" stroke-width=\"1\" fill=\"none\"/>"),
    );
    let (x, baseline) = (LEFT - 6.0, y + 4.0);
    put(svg, &format!("<text x=\"{x}\" y=\"{baseline:.1}\" text-anchor=\"end\">{label}</text>"));
}

fn put(svg: &mut String, element: &str) {
    svg.push_str(element);
    svg.push('\n');
}

/// The least number of the form 4, 8, 20, 40, 80, ... that is not below: its quarters read well.
fn nice(value: u64) -> u64 {
    let decades = std::iter::successors(Some(1_u64), |ten| ten.checked_mul(10));
    let mut tops = decades.flat_map(|ten| [4, 8, 20].map(|factor| ten.saturating_mul(factor)));
    tops.find(|top| *top >= value).unwrap_or(value)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(count: u64, delta_bytes: Option<u64>) -> Curve {
        let steps: Vec<_> =
            (0..count).map(|index| Step { released: index + 1, updated: index + 1 }).collect();
        Curve { hosts: steps.iter().map(|step| step.updated).sum(), step_secs: 3600, delta_bytes, steps }
    }

    #[test]
    fn the_image_has_a_point_for_each_step_inside_its_frame() {
        for (count, delta) in [(1, None), (7, Some(1 << 30)), (500, Some(u64::MAX)), (90_000, None)] {
            let curve = curve(count, delta);
            let svg = curve.svg("<a & b>");
            let document = roxmltree::Document::parse(&svg).unwrap();
            let lines: Vec<_> = document.descendants().filter(|node| node.has_tag_name("polyline")).collect();
            assert_eq!(lines.len(), 3);
            for line in lines {
                let points: Vec<Vec<f64>> = (line.attribute("points").unwrap().split(' '))
                    .map(|point| point.split(',').map(|number| number.parse().unwrap()).collect())
                    .collect();
                assert_eq!(points.len() as u64, count + 1);
                assert!(points.iter().all(|point| (LEFT..=RIGHT).contains(&point[0])));
                assert!(points.iter().all(|point| (60.0..=550.0).contains(&point[1])));
                assert!(points.iter().map(|point| point[0]).is_sorted());
            }
            let totals =
                document.descendants().find(|node| node.attribute("class") == Some("released")).unwrap();
            assert!(
                totals.attribute("points").unwrap().ends_with("940.0,60.0"),
                "the whole fleet at the end"
            );
            let texts: Vec<_> = (document.descendants().filter(|node| node.has_tag_name("text")))
                .filter_map(|node| node.text())
                .collect();
            assert!(texts.contains(&format!("<a & b>: {} hosts", curve.hosts).as_str()));
            assert!(texts.len() < 80, "{} texts", texts.len());
        }
    }

    #[test]
    fn tops_read_well() {
        for (value, top) in
            [(0, 4), (4, 4), (5, 8), (9, 20), (21, 40), (12_345, 20_000), (u64::MAX, u64::MAX)]
        {
            assert_eq!(nice(value), top, "{value}");
        }
    }
}
