//! A bar chart as SVG: bars of one colour per group, readable on light and dark pages.
use std::fmt::Write;

const WIDTH: f64 = 760.0;
const LABEL: f64 = 110.0;
const VALUE: f64 = 70.0;
const ROW: f64 = 20.0;
const HEAD: f64 = 34.0;
const COLOURS: [&str; 4] = ["#3b82f6", "#f59e0b", "#10b981", "#a855f7"];

/// Bars under one title.
#[derive(Debug, Clone)]
pub struct Group {
    /// The title.
    pub title: String,
    /// Label, value, low and high.
    pub bars: Vec<(String, f64, f64, f64)>,
}

/// Draws groups one below the other, all on one scale from 0 to the greatest value.
#[must_use]
pub fn draw(title: &str, groups: &[Group]) -> String {
    let most = groups.iter().flat_map(|group| &group.bars).map(|bar| bar.1.max(bar.3)).fold(1.0, f64::max);
    let rows: usize = groups.iter().map(|group| group.bars.len()).sum();
    let height = HEAD * (groups.len() + 1) as f64 + ROW * rows as f64 + 10.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">\n\
         <style>text{{font:12px system-ui,sans-serif;fill:#1f2937}}.t{{font-weight:600}}.g{{stroke:#9ca3af;stroke-width:1}}.w{{stroke:#1f2937;stroke-width:1.5}}\
         @media(prefers-color-scheme:dark){{text{{fill:#e5e7eb}}.w{{stroke:#e5e7eb}}}}</style>\n",
        escape(title)
    );
    let _ = writeln!(svg, "<text class=\"t\" x=\"8\" y=\"20\" font-size=\"14\">{}</text>", escape(title));
    let (scale, mut y) = ((WIDTH - LABEL - VALUE) / most, HEAD);
    for (group, colour) in groups.iter().zip(COLOURS.iter().cycle()) {
        let _ = writeln!(svg, "<text class=\"t\" x=\"8\" y=\"{}\">{}</text>", y + 16.0, escape(&group.title));
        y += HEAD - 8.0;
        for bar in &group.bars {
            draw_bar(&mut svg, bar, y, scale, colour);
            y += ROW;
        }
        let one = LABEL + scale;
        let _ = writeln!(
            svg,
            "<line class=\"g\" stroke-dasharray=\"3 3\" x1=\"{one:.1}\" x2=\"{one:.1}\" y1=\"{}\" y2=\"{y}\"/>",
            y - ROW * group.bars.len() as f64
        );
        y += 8.0;
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_bar(svg: &mut String, (label, value, low, high): &(String, f64, f64, f64), y: f64, scale: f64, colour: &str) {
    let (middle, end) = (y + ROW / 2.0, LABEL + value * scale);
    let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", LABEL - 8.0, middle + 4.0, escape(label));
    let _ = writeln!(
        svg,
        "<rect x=\"{LABEL}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" rx=\"2\" fill=\"{colour}\"/>",
        y + 3.0,
        value * scale,
        ROW - 6.0
    );
    let (from, to) = (LABEL + low * scale, LABEL + high * scale);
    let _ = writeln!(svg, "<line class=\"w\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{middle}\" y2=\"{middle}\"/>");
    let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{}\">{value:.2}</text>", end.max(to) + 6.0, middle + 4.0);
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_value_and_texts_are_escaped() {
        let bars = vec![("a<b".to_owned(), 0.5, 0.4, 0.6), ("whole".to_owned(), 1.0, 1.0, 1.0)];
        let svg = draw("Shares & more", &[Group { title: "coalesced".into(), bars }]);
        let room = WIDTH - LABEL - VALUE;
        assert!(svg.contains(&format!("width=\"{:.1}\"", room * 0.5)) && svg.contains(&format!("width=\"{room:.1}\"")), "{svg}");
        assert!(svg.contains("a&lt;b") && svg.contains("Shares &amp; more") && svg.contains("prefers-color-scheme:dark"));
        assert_eq!(svg.matches("<rect").count(), 2);
    }
}
