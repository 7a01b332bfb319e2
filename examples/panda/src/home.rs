//! The home folder: the user's key, the store, and the lock that one process holds.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};
use p2panda_core::{
    BlobStore, EntityId, Festival, FestivalId, Identity, OpenError, Replica,
    schema::{Draw, Instant},
    store::{RedbStore, RuntimeDir, StoreError},
};
use p2panda_sync::LinkKey;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

/// The user's 32 secret bytes, readable by the user alone.
const KEY: &str = "key";
/// The device's 32 secret bytes for links: they say nothing about the user and are not to be copied.
const LINK_KEY: &str = "link-key";
const STORE: &str = "store.redb";
/// Images and files.
const BLOBS: &str = "blobs";
/// When the steward last ran here, in milliseconds since 1970.
const STEWARD: &str = "steward";

/// A home folder, which need not exist yet.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    path: PathBuf,
}

/// A home that is open: nobody else can open it until it is closed or dropped.
pub(crate) struct Device {
    pub(crate) home: Home,
    pub(crate) replica: Replica,
    pub(crate) rng: ChaCha20Rng,
}

impl Home {
    /// The given folder, or the platform's folder for data.
    pub(crate) fn locate(given: Option<PathBuf>) -> Result<Self> {
        if let Some(path) = given {
            return Ok(Self { path });
        }
        let dirs = directories::ProjectDirs::from("", "", "panda").ok_or_else(|| {
            anyhow!("this platform names no home folder; say which with --home DIR")
        })?;
        Ok(Self { path: dirs.data_dir().to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the home, and makes what of it is missing; whether the key is new.
    pub(crate) fn init(&self) -> Result<(Device, bool)> {
        create_private(&self.path)
            .with_context(|| format!("the folder {} cannot be made", self.path.display()))?;
        let mut rng = rng()?;
        let is_new = !exists(&self.path.join(KEY))?;
        if is_new {
            if exists(&self.path.join(STORE))? {
                return Err(self.key_is_lost());
            }
            self.write_secret(KEY, &Identity::generate(&mut rng).secret())?;
        }
        let mut device = self.open()?;
        if is_new {
            // Nobody else can have promised anything with this key.
            device.replica.allow_decisions().map_err(|error| self.explain(error))?;
        }
        Ok((device, is_new))
    }

    /// Opens the home.
    pub(crate) fn open(&self) -> Result<Device> {
        let identity = self.read_key()?;
        let path = self.path.join(STORE);
        let store = RedbStore::open(&path).map_err(|error| self.explain(error))?;
        let tokens = Box::new(RuntimeDir::new());
        let mut replica =
            Replica::open(Box::new(store), identity, tokens).map_err(|error| match error {
                OpenError::Store(error) => self.explain(error),
                error @ OpenError::OtherUser { .. } => anyhow!(error).context(format!(
                    "the key and the store in {} do not belong together; put back the key that was \
                 there, or move {STORE} away to start anew",
                    self.path.display()
                )),
            })?;
        let blobs = BlobStore::folder(self.path.join(BLOBS))?;
        replica.keep_blobs(blobs);
        Ok(Device { home: self.clone(), replica, rng: rng()? })
    }

    pub(crate) fn read_key(&self) -> Result<Identity> {
        let path = self.path.join(KEY);
        let shown = path.display();
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(33).read_to_end(&mut bytes));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if exists(&self.path.join(STORE))? {
                    return Err(self.key_is_lost());
                }
                bail!(
                    "there is no panda home in {}; run `panda init` first, or say where it is with \
                     --home DIR",
                    self.path.display()
                );
            }
            Err(error) => {
                return Err(anyhow!(error).context(format!(
                    "the key {shown} cannot be read; see that it is a file that you may read \
                     (chmod 600)"
                )));
            }
            Ok(_) => {}
        }
        let secret: [u8; 32] = bytes.try_into().map_err(|bytes: Vec<u8>| {
            let size =
                if bytes.len() > 32 { "more than 32".into() } else { bytes.len().to_string() };
            anyhow!(
                "the key {shown} is damaged: it has {size} bytes and should have 32; put back a \
                 copy of it. Nothing was changed"
            )
        })?;
        Ok(Identity::from_secret(&secret))
    }

    /// The device's key for links; a new one where there is none, as peers know a device by it
    /// and nothing else hangs on it.
    pub(crate) fn link_key(&self) -> Result<LinkKey> {
        let path = self.path.join(LINK_KEY);
        if !exists(&path)? {
            self.write_secret(LINK_KEY, LinkKey::generate(&mut rng()?).secret())?;
        }
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(33).read_to_end(&mut bytes));
        read.with_context(|| format!("the link key {} cannot be read", path.display()))?;
        let secret: [u8; 32] = bytes.try_into().map_err(|_| {
            anyhow!(
                "the link key {} is damaged: it should have 32 bytes. Remove it; another one is \
                 made, and peers take this device for a new one",
                path.display()
            )
        })?;
        Ok(LinkKey::from_secret(&secret))
    }

    /// Writes a key whole or not at all, and never over another one.
    fn write_secret(&self, name: &str, secret: &[u8; 32]) -> Result<()> {
        let path = self.path.join(name);
        let new = self.path.join(format!("{name}.new-{}", std::process::id()));
        let write = || {
            let mut file = private_file().open(&new)?;
            file.write_all(secret)?;
            file.sync_all()?;
            // Unlike renaming, linking fails where somebody else was faster.
            match fs::hard_link(&new, &path) {
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    fs::rename(&new, &path)?
                }
                linked => linked?,
            }
            sync_folder(&self.path)
        };
        let written = write();
        let _ = fs::remove_file(&new);
        match written {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            written => {
                written.with_context(|| format!("the key {} cannot be written", path.display()))
            }
        }
    }

    fn key_is_lost(&self) -> anyhow::Error {
        anyhow!(
            "{0} holds a store but no key: without the file {0}/{KEY} nobody can write as its \
             user. Put the key back; or, to start anew as somebody else, move {STORE} away and run \
             `panda init`. Nothing was changed",
            self.path.display()
        )
    }

    fn explain(&self, error: StoreError) -> anyhow::Error {
        let path = self.path.join(STORE);
        let path = path.display();
        let advice = match &error {
            StoreError::InUse(_) => format!(
                "another panda has the home {} open; end it first (a running `panda serve`, say), \
                 or take another home with --home DIR",
                self.path.display()
            ),
            StoreError::Damaged(_) => format!(
                "the store {path} cannot be used. It was left as it is: put back a copy, or move \
                 it away and sync again (your key stays yours)"
            ),
            StoreError::NewerFormat { .. } => format!("the store {path} needs a newer panda"),
            StoreError::Io(_) => format!("the store {path} cannot be opened"),
        };
        anyhow!(error).context(advice)
    }

    /// The secret seed of a draw: the same on every device that has the key.
    pub(crate) fn seed(&self, resource: &EntityId) -> Result<[u8; 32]> {
        Ok(Draw::seed(&self.read_key()?.secret(), resource))
    }

    /// When the steward last ran here.
    pub(crate) fn steward_ran(&self) -> Option<Instant> {
        let text = fs::read_to_string(self.path.join(STEWARD)).ok()?;
        text.trim().parse().ok().map(Instant::from_millis)
    }

    /// Remembers when the steward ran.
    pub(crate) fn set_steward_ran(&self, now: Instant) -> Result<()> {
        let text = format!("{}\n", now.millis());
        write_whole(&self.path.join(STEWARD), text.as_bytes())
    }
}

impl Device {
    /// Closes the home cleanly.
    pub(crate) fn close(mut self) -> Result<()> {
        self.replica.close(&mut self.rng).map_err(|error| self.home.explain(error))
    }
}

/// Refuses where a replica may not promise anything yet: in a festival, or in any that it follows.
pub(crate) fn check_may_decide(replica: &Replica, festival: Option<FestivalId>) -> Result<()> {
    let followed = replica.festivals()?;
    let mut asked =
        followed.iter().map(Festival::id).filter(|id| festival.is_none_or(|it| it == *id));
    if followed.is_empty() || asked.any(|id| replica.may_decide(id)) {
        return Ok(());
    }
    bail!(
        "this home may not know all that its key promised in this festival: the key was made on \
         another device, or the home was not closed cleanly and could be an older copy. Run `panda \
         sync ADDRESS` once with somebody who takes part and keeps all of it as this home then does \
         (`panda festival follow --all`), best with your other device; or, if you are sure that \
         there is none, `panda init --only-copy`. If that does not help, `panda doctor` says which \
         log of yours stands still"
    )
}

/// Remembers that the user's own documents in these festivals were synced.
pub(crate) fn allow_decisions(
    replica: &mut Replica,
    synced: &[FestivalId],
) -> Result<(), StoreError> {
    synced.iter().try_for_each(|festival| replica.allow_decisions_in(*festival))
}

/// Randomness, seeded from the system's.
pub(crate) fn rng() -> Result<ChaCha20Rng> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| anyhow!("the system gives no randomness: {error}"))?;
    Ok(ChaCha20Rng::from_seed(seed))
}

/// Writes a file whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_whole(path, |file| Ok(file.write_all(bytes)?))
}

/// Writes a file whole or not at all, piece by piece.
pub(crate) fn replace_whole(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<()>,
) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let new = path.with_file_name(name);
    let replace = || {
        let mut file = File::create(&new)?;
        write(&mut file)?;
        file.sync_all()?;
        Ok(fs::rename(&new, path)?)
    };
    replace()
        .inspect_err(|_: &anyhow::Error| drop(fs::remove_file(&new)))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// Whether there is anything of this name; an error where that cannot be told.
fn exists(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("{} cannot be looked at", path.display())),
    }
}

fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(path)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}
