//! Writes the seeds of the `segment` and `ticket` targets anew; those of the others are kept by hand.

use std::{fs, io, path::Path};

use fuzz::bed::Bed;

fn main() -> io::Result<()> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let bed = Bed::new();
    save(&seeds.join("segment"), bed.seeds())?;
    save(&seeds.join("ticket"), [bed.ticket().into_bytes(), bed.festival_bytes()])
}

fn save(folder: &Path, seeds: impl IntoIterator<Item = Vec<u8>>) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (number, seed) in seeds.into_iter().enumerate() {
        fs::write(folder.join(number.to_string()), seed)?;
    }
    Ok(())
}
