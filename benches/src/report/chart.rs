//! Plots as SVG that follows the colours of the page around it.

use plotters::{coord::types::RangedCoordf64, prelude::*, style::RGBColor};

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Plane<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Colours that stand for the page's own: see [`themed`].
const INK: RGBColor = RGBColor(1, 0, 1);
const GRID: RGBColor = RGBColor(2, 0, 2);
const FIRST: RGBColor = RGBColor(3, 0, 3);
const SECOND: RGBColor = RGBColor(4, 0, 4);
const MARK: RGBColor = RGBColor(5, 0, 5);
const THEME: [(&str, &str); 5] = [
    ("#010001", "var(--muted)"),
    ("#020002", "var(--grid)"),
    ("#030003", "var(--first)"),
    ("#040004", "var(--second)"),
    ("#050005", "var(--mark)"),
];

/// What is drawn over time.
pub(super) struct Chart<'a> {
    /// What it shows, for those who do not see it.
    pub(super) label: &'a str,
    /// Width and height.
    pub(super) size: (u32, u32),
    /// The unit of the vertical axis.
    pub(super) unit: &'a str,
    /// The highest value; as high as the values where there is none.
    pub(super) top: Option<f64>,
    /// Milliseconds and values, in the page's first and second colour. The first is filled where it
    /// is alone.
    pub(super) series: &'a [Vec<(u64, f64)>],
    /// Whether values are whole numbers.
    pub(super) whole: bool,
    /// Whether values stay until the next one.
    pub(super) steps: bool,
    /// A value to compare with.
    pub(super) level: Option<f64>,
    /// Where the network was healed, in milliseconds.
    pub(super) healed: u64,
}

/// A unit of time, so that an axis has few numbers.
fn clock(end: u64) -> (f64, &'static str) {
    match end / 60_000 {
        0..=5 => (1e3, "seconds"),
        6..=300 => (60e3, "minutes"),
        _ => (3_600e3, "hours"),
    }
}

impl Chart<'_> {
    /// The plot as an element of a page.
    pub(super) fn svg(&self) -> Result<String, String> {
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, self.size).into_drawing_area();
            self.draw(&area).map_err(|error| error.to_string())?;
            area.present().map_err(|error| error.to_string())?;
        }
        Ok(themed(&svg, self.label, self.size))
    }

    fn draw(&self, area: &Area<'_>) -> Result<(), Box<dyn std::error::Error>> {
        let points = || self.series.iter().flatten();
        let end = points().map(|(ms, _)| *ms).max().unwrap_or(0).max(self.healed);
        let (unit, name) = clock(end);
        let highest = points().map(|(_, value)| *value).chain(self.level).fold(1.0, f64::max);
        let (right, top) = (end as f64 / unit * 1.01, self.top.unwrap_or(highest * 1.12));
        let mut plane: Plane<'_, '_> = ChartBuilder::on(area)
            .margin_top(10)
            .margin_right(14)
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..right, 0.0..top)?;
        let text = |size: u32| ("sans-serif", size).into_font().color(&INK);
        plane
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(if self.size.0 > 500 { 8 } else { 5 })
            .y_labels(if self.top.is_some() { 9 } else { 5 })
            .max_light_lines(1)
            .bold_line_style(GRID.stroke_width(1))
            .light_line_style(TRANSPARENT)
            .axis_style(GRID.stroke_width(1))
            .label_style(text(15))
            .axis_desc_style(text(15))
            .x_desc(name)
            .y_desc(self.unit)
            .x_label_formatter(&|value| number(*value))
            .y_label_formatter(&|value| match number(*value) {
                text if self.whole && text.contains('.') => String::new(),
                text => text,
            })
            .draw()?;
        let healed = self.healed as f64 / unit;
        if healed < right * 0.97 {
            let ground = Rectangle::new([(healed, 0.0), (right, top)], MARK.mix(0.12).filled());
            plane.draw_series([ground])?;
        }
        plane.draw_series(DashedLineSeries::new(
            [(healed, 0.0), (healed, top)],
            4,
            4,
            MARK.stroke_width(1),
        ))?;
        if let Some(level) = self.level {
            let line = [(0.0, level), (right, level)];
            plane.draw_series(DashedLineSeries::new(line, 2, 4, INK.stroke_width(1)))?;
        }
        for (series, color) in self.series.iter().zip([FIRST, SECOND]).rev() {
            let line = self.line(series, unit);
            if self.series.len() == 1 {
                let filled = AreaSeries::new(line.iter().copied(), 0.0, color.mix(0.18));
                plane.draw_series(filled)?;
            }
            plane.draw_series(LineSeries::new(line, color.stroke_width(2)))?;
        }
        Ok(())
    }

    fn line(&self, series: &[(u64, f64)], unit: f64) -> Vec<(f64, f64)> {
        let mut line: Vec<(f64, f64)> = Vec::new();
        for (ms, value) in series {
            let at = *ms as f64 / unit;
            if let Some((_, before)) = line.last().copied().filter(|_| self.steps) {
                line.push((at, before));
            }
            line.push((at, *value));
        }
        line
    }
}

/// A number of an axis: with a decimal only where it has one.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// Takes a drawing into a page: it grows with its place and has the page's colours and type.
fn themed(svg: &str, label: &str, (width, height): (u32, u32)) -> String {
    let start = svg.find("<svg").unwrap_or(0);
    let body = svg[start..].find('>').map_or("", |end| &svg[start + end + 1..]);
    let mut text = format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">{body}",
        super::page::escape(label)
    );
    for (color, variable) in THEME {
        text = text.replace(color, variable);
    }
    text.replace(" font-family=\"sans-serif\"", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_no_colour_and_no_typeface_of_its_own() {
        let chart = Chart {
            label: "a <test>",
            size: (640, 260),
            unit: "percent",
            top: Some(100.0),
            series: &[vec![(0, 100.0), (60_000, 50.0)], vec![(0, 90.0), (60_000, 20.0)]],
            whole: true,
            steps: false,
            level: Some(70.0),
            healed: 50_000,
        };
        let svg = chart.svg().unwrap();
        assert!(svg.starts_with("<svg viewBox=") && svg.contains("a &lt;test&gt;"), "{svg}");
        assert!(!svg.contains('#') && !svg.contains("sans-serif"), "{svg}");
        assert!(svg.contains("var(--first)") && svg.contains("seconds"), "{svg}");
        assert_eq!(chart.svg().unwrap(), svg);
    }
}
