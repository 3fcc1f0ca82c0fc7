//! Lines over two axes, as SVG.

use std::fmt::Write as _;

const LEFT: f64 = 70.0;
const TOP: f64 = 20.0;
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 340.0;
const COLORS: [&str; 8] = ["#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5"];

/// All places are parts of the axes, from 0 to 1: whoever draws decides whether they are linear.
#[derive(Debug, Default)]
pub(crate) struct Plot {
    /// Marks of the axes.
    pub(crate) x_marks: Vec<(f64, String)>,
    pub(crate) y_marks: Vec<(f64, String)>,
    /// Lines with their names.
    pub(crate) lines: Vec<(String, Vec<(f64, f64)>)>,
}

fn place((x, y): (f64, f64)) -> (f64, f64) {
    (LEFT + x * WIDTH, TOP + (1.0 - y) * HEIGHT)
}

impl Plot {
    /// The picture.
    pub(crate) fn svg(&self) -> String {
        let mut svg = String::from(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"860\" height=\"420\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"860\" height=\"420\" fill=\"white\"/>\n",
        );
        for (at, text) in &self.x_marks {
            let (x, y) = place((*at, 1.0));
            let below = TOP + HEIGHT + 18.0;
            let _ = writeln!(
                svg,
                "<path d=\"M{x:.1} {y:.1}v{HEIGHT}\" stroke=\"#ddd\"/><text x=\"{x:.1}\" y=\"{below}\" text-anchor=\"middle\">{text}</text>"
            );
        }
        for (at, text) in &self.y_marks {
            let (x, y) = place((0.0, *at));
            let before = x - 6.0;
            let _ = writeln!(
                svg,
                "<path d=\"M{x:.1} {y:.1}h{WIDTH}\" stroke=\"#ddd\"/><text x=\"{before}\" y=\"{y:.1}\" text-anchor=\"end\">{text}</text>"
            );
        }
        for (nth, (name, points)) in self.lines.iter().enumerate() {
            let color = COLORS[nth % COLORS.len()];
            let points: Vec<String> =
                points.iter().map(|point| place(*point)).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let points = points.join(" ");
            let _ =
                writeln!(svg, "<polyline points=\"{points}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>");
            let (x, y) = (LEFT + WIDTH + 20.0, 40 + nth * 20);
            let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" fill=\"{color}\">{name}</text>");
        }
        svg + "</svg>\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_from_the_lower_left_to_the_upper_right() {
        let plot = Plot {
            x_marks: vec![(0.0, "0".to_owned())],
            y_marks: vec![(1.0, "most".to_owned())],
            lines: vec![("rate".to_owned(), vec![(0.0, 0.0), (1.0, 1.0)])],
        };
        let svg = plot.svg();
        assert!(svg.contains("points=\"70.0,360.0 630.0,20.0\""), "{svg}");
        assert!([">0<", ">most<", ">rate<"].iter().all(|text| svg.contains(text)), "{svg}");
    }
}
