use sage_batch::fields::{DataType, FieldType};

/// The way in which a given field does not fit its reader. A path is a field, `tags[]` for the elements of a list, or
/// `place.lat` for a member of a struct.
#[derive(Debug, PartialEq)]
pub(super) enum Mismatch<'f> {
    /// The given type does not widen to the type that is read.
    Type {
        path: String,
        /// The member of a struct, if it is one.
        member: Option<&'f str>,
        read: &'f DataType,
        given: &'f DataType,
    },
    /// The reader takes no null.
    Null { path: String, member: Option<&'f str> },
    /// The given struct lacks a member.
    Member { name: &'f str, known: Vec<&'f str> },
    /// The given struct has a member that is not read. A struct is read as a whole: the record would lose the member.
    Unread { name: &'f str },
}

impl<'f> Mismatch<'f> {
    /// The first place where `given` does not fit the field that is read.
    pub(super) fn between(read: &'f FieldType, given: &'f FieldType) -> Option<Self> {
        let name = &read.name;
        let inside = match (&read.data_type, &given.data_type) {
            (DataType::List(read), DataType::List(given)) => {
                let (read, given) = ((read.data_type(), read.is_nullable()), (given.data_type(), given.is_nullable()));
                value(|| format!("{name}[]"), None, read, given)
            }
            (DataType::Struct(read), DataType::Struct(given)) => {
                let unread = given.fields().iter().find(|member| read.get(&member.name).is_none());
                let differs = read.fields().iter().find_map(|member| {
                    let Some(found) = given.get(&member.name) else {
                        let known = given.fields().iter().map(|field| field.name.as_str()).collect();
                        return Some(Self::Member { name: &member.name, known });
                    };
                    let path = || format!("{name}.{}", member.name);
                    let given = (&found.data_type, found.nullable);
                    value(path, Some(&member.name), (&member.data_type, member.nullable), given)
                });
                differs.or_else(|| unread.map(|member| Self::Unread { name: &member.name }))
            }
            (read_type, given_type) => {
                let (read, given) = ((read_type, read.nullable), (given_type, given.nullable));
                return value(|| name.clone(), None, read, given);
            }
        };
        let null = given.nullable && !read.nullable;
        inside.or_else(|| null.then(|| Self::Null { path: name.clone(), member: None }))
    }
}

fn value<'f>(
    path: impl Fn() -> String,
    member: Option<&'f str>,
    (read, takes_null): (&'f DataType, bool),
    (given, has_null): (&'f DataType, bool),
) -> Option<Mismatch<'f>> {
    if !given.widens_to(read) {
        return Some(Mismatch::Type { path: path(), member, read, given });
    }
    (has_null && !takes_null).then(|| Mismatch::Null { path: path(), member })
}

#[cfg(test)]
mod tests {
    use sage_batch::fields::{Element, Members};

    use super::*;

    fn field(name: &str, data_type: DataType, nullable: bool) -> FieldType {
        FieldType { name: name.to_owned(), data_type, nullable, docs: String::new() }
    }

    #[test]
    fn a_given_field_fits_exactly_if_its_type_widens_and_its_nulls_are_taken() {
        let list = |element, nullable| DataType::from(Element::new(element, nullable).unwrap());
        let place = |data_type, nullable| {
            let members = vec![field("a", data_type, nullable), field("b", DataType::String, true)];
            DataType::from(Members::new(members).unwrap())
        };
        let few = DataType::from(Members::new(vec![field("b", DataType::String, true)]).unwrap());
        let types = [
            DataType::S8,
            DataType::S64,
            DataType::Json,
            list(DataType::S8, true),
            list(DataType::S64, false),
            list(DataType::S64, true),
            place(DataType::S8, false),
            place(DataType::S64, true),
            few,
        ];
        for read in &types {
            for given in &types {
                for (takes, has) in [(false, false), (false, true), (true, false), (true, true)] {
                    let (read, given) = (field("x", read.clone(), takes), field("x", given.clone(), has));
                    let fits = given.data_type.widens_to(&read.data_type) && (takes || !has);
                    let found = Mismatch::between(&read, &given);
                    assert_eq!(found.is_none(), fits, "{read:?} of {given:?}: {found:?}");
                }
            }
        }
    }
}
