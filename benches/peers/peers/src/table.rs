//! The rows side by side, with ratios to ours.

use std::{fmt::Write as _, time::Duration};

use peers::{Row, Workload};

const HEADS: [&str; 7] =
    ["system", "bytes", "messages", "round trips", "CPU", "peak memory", "what came of it"];

/// All rows.
pub(crate) struct Table {
    size: usize,
    about: Vec<(&'static str, String)>,
    rows: Vec<(Workload, &'static str, Row)>,
}

impl Table {
    pub(crate) const fn new(size: usize) -> Self {
        Self { size, about: Vec::new(), rows: Vec::new() }
    }

    /// Adds a sentence about a system.
    pub(crate) fn about(&mut self, system: &'static str, text: &str) {
        match self.about.iter_mut().find(|(name, _)| *name == system) {
            Some((_, about)) => *about = format!("{about} {text}"),
            None => self.about.push((system, text.to_owned())),
        }
    }

    pub(crate) fn row(&mut self, workload: Workload, system: &'static str, row: Row) {
        self.rows.push((workload, system, row));
    }

    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (title, lines) in self.blocks() {
            let widths: Vec<usize> = (0..HEADS.len() - 1)
                .map(|column| {
                    let cells = lines.iter().map(|line| line[column].chars().count());
                    cells.max().unwrap_or(0).max(HEADS[column].len())
                })
                .collect();
            let _ = writeln!(text, "\n{title}");
            for line in std::iter::once(&HEADS.map(str::to_owned)).chain(&lines) {
                for (at, cell) in line.iter().enumerate() {
                    let _ = match widths.get(at) {
                        Some(width) if at == 0 => write!(text, "  {cell:<width$}"),
                        Some(width) => write!(text, "  {cell:>width$}"),
                        None => write!(text, "  {cell}"),
                    };
                }
                text.truncate(text.trim_end().len());
                text.push('\n');
            }
        }
        for (system, about) in &self.about {
            let _ = write!(text, "\n{system}: {about}");
        }
        text
    }

    /// For a file.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "# Side by side, size {}\n\nIn brackets: the ratio to ours. Both peers of an exchange \
             run in one process: bytes, CPU time and memory are those of both together.\n",
            self.size
        );
        for (title, lines) in self.blocks() {
            let _ = writeln!(text, "\n## {title}\n\n| {} |", HEADS.join(" | "));
            let _ = writeln!(text, "|---|---:|---:|---:|---:|---:|---|");
            for line in lines {
                let _ =
                    writeln!(text, "| {} |", line.map(|cell| cell.replace('|', "/")).join(" | "));
            }
        }
        text.push_str("\n## The systems\n\n");
        for (system, about) in &self.about {
            let _ = writeln!(text, "- **{system}**: {about}");
        }
        text
    }

    fn blocks(&self) -> Vec<(String, Vec<[String; 7]>)> {
        let mut blocks = Vec::new();
        for workload in Workload::ALL {
            let rows: Vec<_> = self.rows.iter().filter(|(of, ..)| *of == workload).collect();
            if rows.is_empty() {
                continue;
            }
            let ours = rows.iter().find(|(_, system, _)| *system == "ours").map(|(.., row)| row);
            let lines = rows.iter().map(|(_, system, row)| line(system, row, ours)).collect();
            blocks.push((format!("{} ({workload})", workload.title(self.size)), lines));
        }
        blocks
    }
}

fn line(system: &str, row: &Row, ours: Option<&Row>) -> [String; 7] {
    let compared = system != "ours";
    let number = |of: fn(&Row) -> Option<f64>, show: fn(f64) -> String| match of(row) {
        None => "-".to_owned(),
        Some(value) => {
            let ours = ours.and_then(of).filter(|ours| compared && *ours > 0.0);
            let ratio = ours.map(|ours| format!(" ({})", ratio(value / ours)));
            show(value) + &ratio.unwrap_or_default()
        }
    };
    [
        system.to_owned(),
        number(|row| row.bytes.map(|bytes| bytes as f64), bytes),
        number(|row| row.messages.map(|messages| messages as f64), |count| format!("{count}")),
        row.steps.map_or_else(|| "-".to_owned(), |steps| format!("{}", f64::from(steps) / 2.0)),
        number(|row| row.cost.map(|cost| cost.cpu.as_secs_f64()), time),
        number(|row| row.cost.map(|cost| cost.peak as f64), bytes),
        row.note.clone(),
    ]
}

fn ratio(value: f64) -> String {
    match value {
        ..0.095 => format!("{value:.3}x"),
        ..9.95 => format!("{value:.2}x"),
        _ => format!("{value:.0}x"),
    }
}

fn bytes(value: f64) -> String {
    match value {
        ..10_000.0 => format!("{value} B"),
        ..10_000_000.0 => format!("{:.1} kB", value / 1e3),
        _ => format!("{:.1} MB", value / 1e6),
    }
}

fn time(seconds: f64) -> String {
    let time = Duration::from_secs_f64(seconds);
    match time.as_micros() {
        ..10_000 => format!("{:.2} ms", seconds * 1e3),
        ..10_000_000 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{seconds:.1} s"),
    }
}
