//! Writes the vectors anew: `cargo run -p vectors`.

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for topic in vectors::topics() {
        let text = topic.to_json();
        println!("{:>4} cases, {:>6} bytes: {}", topic.cases.len(), text.len(), topic.name);
        fs::write(folder.join(topic.name).with_extension("json"), text)?;
    }
    Ok(())
}
