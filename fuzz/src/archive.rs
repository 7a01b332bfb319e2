//! Archives: what is imported of any file is exported whole.

use p2panda_core::{
    Replica,
    archive::{ImportError, ImportFault, MAGIC},
};

use crate::bed::Bed;

impl Bed {
    /// The archive of the festival, in the form of the target's inputs.
    #[must_use]
    pub fn archive_seeds(&self) -> Vec<Vec<u8>> {
        let mut file = Vec::new();
        self.laptop().export(self.festival_id(), &mut file).expect("memory does not fail");
        let framed = [&[0], &file[MAGIC.len() + 2..]].concat();
        vec![[&[1], &file[..]].concat(), framed]
    }

    /// The first byte says whether the rest is a file, or what follows its magic line.
    pub fn import(&self, data: &[u8]) {
        let Some((mode, data)) = data.split_first() else { return };
        let begin = if mode & 1 == 1 { vec![] } else { [MAGIC, b"1\n"].concat() };
        let mut reader = self.stranger();
        let result = reader.import(&mut &[&begin[..], data].concat()[..]);
        let imported = result.unwrap_or_else(|ImportError { imported, why }| {
            assert!(!matches!(why, ImportFault::Store(_) | ImportFault::Io(_)), "{why}");
            *imported
        });
        assert!(reader.is_durable());
        assert_eq!(reader.caught(), 0, "the last net caught something");
        let Some(festival) = imported.festival else { return };
        let export = |replica: &Replica| {
            let mut file = Vec::new();
            replica.export(festival, &mut file).expect("memory does not fail");
            file
        };
        let file = export(&reader);
        let mut again = self.stranger();
        let whole = again.import(&mut &file[..]).expect("what is exported is whole");
        assert_eq!(whole.refusals, 0, "{:?}", whole.refused);
        assert_eq!(reader.fingerprint_logs().unwrap(), again.fingerprint_logs().unwrap());
        assert_eq!(reader.fingerprint_view().unwrap(), again.fingerprint_view().unwrap());
        assert_eq!(export(&again), file);
    }
}
