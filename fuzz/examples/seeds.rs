//! Writes the seeds of most targets anew; those of `frab` and `frames` are kept by hand.

use std::{fs, io, path::Path};

use fuzz::bed::Bed;

fn main() -> io::Result<()> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let bed = Bed::new();
    save(&seeds.join("segment"), bed.seeds())?;
    save(&seeds.join("payload"), bed.payload_seeds())?;
    save(&seeds.join("archive"), bed.archive_seeds())?;
    save(&seeds.join("hostile"), fuzz::hostile::seeds(bed.payloads()))?;
    save(&seeds.join("codec"), fuzz::codec::seeds(&bed))?;
    // Nothing damaged, a byte of the header, one of the rest, a page, the end.
    let damage = [
        [0; 6],
        [0, 0, 0, 0, 9, 1],
        [1, 0, 0, 20, 0, 255],
        [2, 0, 0, 64, 0, 0],
        [3, 0, 0, 9, 0, 0],
    ];
    save(&seeds.join("store"), damage.map(Vec::from))
}

fn save(folder: &Path, seeds: impl IntoIterator<Item = Vec<u8>>) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (number, seed) in seeds.into_iter().enumerate() {
        fs::write(folder.join(number.to_string()), seed)?;
    }
    Ok(())
}
