//! Types as plain data: serde's data model, less what no field can hold.

use serde::{
    Serialize, Serializer,
    ser::{Impossible, SerializeMap, SerializeStruct, SerializeStructVariant},
};

use super::{Fields, INSTANT, Instant, Malformed, Value};

type Written = Result<Value, Malformed>;

fn unsupported(what: &str) -> Malformed {
    Malformed(format!("{what} cannot be a field"))
}

/// Turns a type into a [`Value`].
pub(super) struct ValueWriter;

impl Serializer for ValueWriter {
    type Ok = Value;
    type Error = Malformed;
    type SerializeSeq = Impossible<Value, Malformed>;
    type SerializeTuple = Impossible<Value, Malformed>;
    type SerializeTupleStruct = Impossible<Value, Malformed>;
    type SerializeTupleVariant = Impossible<Value, Malformed>;
    type SerializeMap = MapWriter;
    type SerializeStruct = MapWriter;
    type SerializeStructVariant = MapWriter;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Written {
        Ok(Value::Bool(value))
    }

    fn serialize_i8(self, value: i8) -> Written {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i16(self, value: i16) -> Written {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i32(self, value: i32) -> Written {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i64(self, value: i64) -> Written {
        Ok(Value::Int(value))
    }

    fn serialize_u8(self, value: u8) -> Written {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u16(self, value: u16) -> Written {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u32(self, value: u32) -> Written {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u64(self, value: u64) -> Written {
        i64::try_from(value).map(Value::Int).map_err(|_| unsupported("an integer beyond 64 bits"))
    }

    fn serialize_i128(self, value: i128) -> Written {
        i64::try_from(value).map(Value::Int).map_err(|_| unsupported("an integer beyond 64 bits"))
    }

    fn serialize_u128(self, value: u128) -> Written {
        i64::try_from(value).map(Value::Int).map_err(|_| unsupported("an integer beyond 64 bits"))
    }

    fn serialize_f32(self, _: f32) -> Written {
        Err(unsupported("a float"))
    }

    fn serialize_f64(self, _: f64) -> Written {
        Err(unsupported("a float"))
    }

    fn serialize_char(self, value: char) -> Written {
        Ok(Value::Text(value.into()))
    }

    fn serialize_str(self, value: &str) -> Written {
        Ok(value.into())
    }

    fn serialize_bytes(self, value: &[u8]) -> Written {
        Ok(Value::Bytes(value.to_vec()))
    }

    fn serialize_none(self) -> Written {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written {
        Ok(variant.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Written {
        if name == INSTANT { Instant::written(value) } else { value.serialize(self) }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Written {
        Ok(Value::Map([(variant.to_owned(), value.serialize(self)?)].into()))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Malformed> {
        Err(unsupported("a list"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Malformed> {
        Err(unsupported("a list"))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Malformed> {
        Err(unsupported("a list"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Malformed> {
        Err(unsupported("a list"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<MapWriter, Malformed> {
        Ok(MapWriter::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<MapWriter, Malformed> {
        Ok(MapWriter::default())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<MapWriter, Malformed> {
        Ok(MapWriter { variant: Some(variant), ..MapWriter::default() })
    }
}

/// A map while it is written.
#[derive(Default)]
pub(super) struct MapWriter {
    /// Of an enum: the name under which the map stands.
    variant: Option<&'static str>,
    key: Option<String>,
    fields: Fields,
}

impl MapWriter {
    fn insert<T: Serialize + ?Sized>(&mut self, name: String, value: &T) -> Result<(), Malformed> {
        self.fields.insert(name, value.serialize(ValueWriter)?);
        Ok(())
    }

    fn finish(self) -> Written {
        let map = Value::Map(self.fields);
        Ok(match self.variant {
            Some(variant) => Value::Map([(variant.to_owned(), map)].into()),
            None => map,
        })
    }
}

impl SerializeMap for MapWriter {
    type Ok = Value;
    type Error = Malformed;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Malformed> {
        match key.serialize(ValueWriter)? {
            Value::Text(key) => self.key = Some(key),
            _ => return Err(unsupported("a key that is no text")),
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Malformed> {
        let key = self.key.take().ok_or_else(|| unsupported("a value without a key"))?;
        self.insert(key, value)
    }

    fn end(self) -> Written {
        self.finish()
    }
}

impl SerializeStruct for MapWriter {
    type Ok = Value;
    type Error = Malformed;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Malformed> {
        self.insert(name.to_owned(), value)
    }

    fn end(self) -> Written {
        self.finish()
    }
}

impl SerializeStructVariant for MapWriter {
    type Ok = Value;
    type Error = Malformed;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Malformed> {
        self.insert(name.to_owned(), value)
    }

    fn end(self) -> Written {
        self.finish()
    }
}
