//! Tokens as files in per-boot local storage.

use std::env;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;

use super::ResumeTokens;

/// Tokens as files of a folder that backups leave out, each holding the boot id.
///
/// A token of an earlier boot is worth nothing, so neither a token that a backup holds after all nor
/// a deletion that a power cut takes back does harm. Where there is no boot id (elsewhere than on
/// Linux), no token is left and none accepted; nor in a folder that others may write to.
///
/// One accident remains: a snapshot taken between closing a store and opening it again that has
/// both the store and this folder in it (of a running virtual machine, or of a container whose
/// folder for temporary files is not kept apart), brought back during the same boot.
#[derive(Clone, Debug)]
pub struct RuntimeDir {
    path: PathBuf,
}

impl RuntimeDir {
    /// The user's runtime folder, or else one in the folder for temporary files.
    #[must_use]
    pub fn new() -> Self {
        let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        match runtime.filter(|path| path.is_absolute() && path.is_dir()) {
            Some(path) => Self::at(path.join("p2panda")),
            None => Self::at(env::temp_dir().join("p2panda-resume")),
        }
    }

    /// A folder of the caller's choice, which is created when it is needed.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn file(&self, name: &[u8; 16]) -> PathBuf {
        self.path.join(HEXLOWER.encode(name))
    }
}

impl Default for RuntimeDir {
    fn default() -> Self {
        Self::new()
    }
}

impl ResumeTokens for RuntimeDir {
    fn leave(&mut self, name: &[u8; 16]) -> io::Result<()> {
        let Some(boot) = boot_id() else {
            return Ok(());
        };
        create_private(&self.path)?;
        if !is_ours(&self.path) {
            return Ok(());
        }
        let mut file = File::create_new(self.file(name))?;
        file.write_all(&boot)
    }

    fn claim(&mut self, name: &[u8; 16]) -> bool {
        if !is_ours(&self.path) {
            return false;
        }
        let file = self.file(name);
        let left = fs::read(&file).ok();
        // Whatever it holds: a token that is refused once is refused for ever. Of two processes
        // that read it, one alone deletes it.
        let deleted = fs::remove_file(&file).is_ok();
        deleted && left.is_some() && left == boot_id()
    }
}

/// Names this boot of the machine; the next boot has another.
fn boot_id() -> Option<Vec<u8>> {
    let id = fs::read("/proc/sys/kernel/random/boot_id").ok()?;
    let id = id.trim_ascii().to_vec();
    (!id.is_empty()).then_some(id)
}

fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// Whether nobody else can put a used token back. The folder for temporary files is open to all, so
/// another user may have made our folder there first.
#[cfg(unix)]
fn is_ours(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(folder), Ok(process)) = (fs::symlink_metadata(path), fs::metadata("/proc/self")) else {
        return false;
    };
    folder.is_dir() && folder.uid() == process.uid() && folder.mode() & 0o022 == 0
}

#[cfg(not(unix))]
fn is_ours(_: &Path) -> bool {
    true
}
