//! Answers on stdout, for people or as one JSON value; everything else on stderr.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
};

use anyhow::{Context as _, Result};
use console::{measure_text_width, truncate_str};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// Where answers go, and in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

/// Whoever read our output has gone. That is no failure of ours.
#[derive(Debug)]
pub(crate) struct ReaderGone;

impl fmt::Display for ReaderGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads the output any more")
    }
}

impl std::error::Error for ReaderGone {}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        // An empty NO_COLOR counts as unset (no-color.org).
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        console::set_colors_enabled(wanted && !json && io::stdout().is_terminal());
        console::set_colors_enabled_stderr(wanted && io::stderr().is_terminal());
        Self { json }
    }

    /// The command's answer: the value as one line of JSON, or the text.
    pub(crate) fn answer(
        self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<()> {
        if self.json {
            print(&serde_json::to_string(value).context("the answer cannot be written as JSON")?)
        } else {
            print(&text())
        }
    }

    /// A remark for people, which programs do not see.
    pub(crate) fn note(self, text: impl fmt::Display) {
        // Nothing is left to do where even stderr is closed.
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Text for people that is not the answer itself; nothing with `--json`.
    pub(crate) fn say(self, text: impl fmt::Display) -> Result<()> {
        if self.json { Ok(()) } else { print(&text.to_string()) }
    }

    /// A bar for long work, on stderr and only on a terminal.
    pub(crate) fn progress(self, what: &'static str) -> ProgressBar {
        let template = "{msg} {bar:32.cyan/dim} {pos}/{len} {elapsed:.dim}";
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━━─");
        ProgressBar::new(0).with_style(style).with_message(what)
    }
}

/// Writes a line to stdout, at once.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{}", text.trim_end_matches('\n')).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ReaderGone.into()),
        written => written.context("stdout cannot be written"),
    }
}

/// Other people's words, fit for a terminal: one line, no control characters, bounded.
pub(crate) fn plain(text: &str) -> String {
    let visible = |c: char| if c.is_control() || is_invisible(c) { ' ' } else { c };
    text.chars().take(300).map(visible).collect::<String>().trim().to_owned()
}

/// Characters that reorder or hide the text around them.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// How many columns there are; enough for whole titles where the output is no terminal.
pub(crate) fn width() -> usize {
    let term = console::Term::stdout();
    if term.is_term() { usize::from(term.size().1).max(40) } else { 160 }
}

/// Rows in aligned columns, two spaces apart, cut at the terminal's edge.
///
/// A remark behind a line break in the last column stands on the same line where it fits there, else
/// on the next one.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// The table, each line behind `indent`.
    pub(crate) fn render(&self, indent: &str) -> String {
        self.render_within(indent, width())
    }

    fn render_within(&self, indent: &str, edge: usize) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width_of = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| measure_text_width(cell)).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns.saturating_sub(1)).map(width_of).collect();
        let mut lines = Vec::new();
        for row in &self.rows {
            let Some((last, cells)) = row.split_last() else { continue };
            let mut line = indent.to_owned();
            for (cell, width) in cells.iter().zip(&widths) {
                line.push_str(cell);
                line.push_str(&" ".repeat(width.saturating_sub(measure_text_width(cell)) + 2));
            }
            let start = measure_text_width(&line);
            let (text, remark) = last.split_once('\n').unwrap_or((last, ""));
            line.push_str(text);
            if remark.is_empty() {
                lines.push(line);
            } else if measure_text_width(&line) + 2 + measure_text_width(remark) <= edge {
                lines.push(format!("{line}  {remark}"));
            } else {
                lines.extend([line, format!("{}{remark}", " ".repeat(start + 2))]);
            }
        }
        let cut = lines.iter().map(|line| truncate_str(line.trim_end(), edge, "…"));
        cut.collect::<Vec<_>>().join("\n")
    }
}

/// A count with its noun: `1 event`, `12 events`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {noun}{s}", grouped(number as u64))
}

/// A number with a comma between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_in_thousands() {
        let grouped = [0, 999, 1_000, 12_345, 1_234_567].map(grouped);
        assert_eq!(grouped, ["0", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!((count(1, "event"), count(2, "event")), ("1 event".into(), "2 events".into()));
    }

    #[test]
    fn a_strangers_title_cannot_move_the_cursor() {
        assert_eq!(plain("\u{1b}[2Jboo\nhoo\u{202e}"), "[2Jboo hoo");
    }

    #[test]
    fn columns_are_aligned_by_what_is_seen() {
        let mut table = Table::default();
        table.row(["ü".into(), "x".into()]);
        table.row(["abc".into(), "y".into()]);
        assert_eq!(table.render(" "), " ü    x\n abc  y");
    }

    #[test]
    fn a_remark_that_does_not_fit_stands_below() {
        let mut table = Table::default();
        table.row(["a".into(), "title\nremark".into()]);
        assert_eq!(table.render_within("", 16), "a  title  remark");
        assert_eq!(table.render_within("", 15), "a  title\n     remark");
        assert_eq!(table.render_within("", 7), "a  tit…\n     r…");
    }
}
