//! Hints to contracts: names become positions, and statements are checked against the signature and each other.
//!
//! What a line leaves open is asked of [`Facts`]; nothing is guessed.

use crate::error::HintError;
use crate::hint::{Column, ExtentWords, FateWords, Hint, Item, ItemKind, ResultWords, Target, TargetName, TypeWord};
use espb_format::contract::{
    Callback, Contract, Direction, Extent, Fate, Flags, Format, FormatArgs, Handle, Member, Param, Pointer,
    ResultMeaning, RuleError, Slot,
};
use espb_format::signature::{Signature, ValType};

/// What the translator sees at the calls of a function, for hints that leave it open.
pub trait Facts {
    /// The size in bytes of the object that is passed as this argument, if it is the same known size at every call.
    fn object_size(&self, param: Slot) -> Option<u32>;
    /// The signature of the function that is passed as this argument, if it is the same known one at every call.
    fn callback_signature(&self, param: Slot) -> Option<Signature>;
}

/// Nothing is known beyond the hint.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFacts;

impl Facts for NoFacts {
    fn object_size(&self, _: Slot) -> Option<u32> {
        None
    }

    fn callback_signature(&self, _: Slot) -> Option<Signature> {
        None
    }
}

impl Hint {
    /// The signature, if the line has a prototype.
    #[must_use]
    pub fn signature(&self) -> Option<Signature> {
        self.prototype.as_ref().map(|prototype| prototype.signature)
    }

    /// The contract of the function, called with `signature`.
    ///
    /// # Errors
    /// Another signature than the prototype's, a parameter that does not exist or has two meanings, a meaning that a
    /// type does not allow, a pointer without a meaning, and what the hint leaves open while `facts` do not know.
    pub fn contract(&self, signature: &Signature, facts: &dyn Facts) -> Result<Contract, HintError> {
        if let Some(stated) = self.signature().filter(|stated| stated != signature) {
            return Err(self.error(
                self.column,
                format!("`{}` is called as {}, but its prototype says {}", self.name, Show(signature), Show(&stated)),
                "correct the prototype, or the declaration in the C source",
            ));
        }
        let mut lowering = Lowering {
            hint: self,
            facts,
            contract: Contract::plain(signature),
            said: vec![None; signature.param_count()],
            list_said: Vec::new(),
            context: self.context,
        };
        for item in &self.items {
            lowering.item(item)?;
        }
        lowering.finish(signature)
    }

    pub(crate) fn error(&self, column: Column, message: String, help: impl Into<String>) -> HintError {
        HintError { file: self.file.clone(), line: self.line, column, message, help: help.into() }
    }
}

/// A signature as prototypes are written.
struct Show<'a>(&'a Signature);

impl std::fmt::Display for Show<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let params = self.0.params().map(ValType::name).chain(self.0.is_variadic().then_some("..."));
        write!(f, "({})", params.collect::<Vec<_>>().join(", "))?;
        self.0.result().map_or(Ok(()), |ty| write!(f, " -> {}", ty.name()))
    }
}

/// What the targets of an item are.
#[derive(Clone, Copy)]
enum Scope {
    /// Parameters.
    Function,
    /// Byte offsets in the structure behind a parameter.
    Structure,
}

struct Lowering<'h> {
    hint: &'h Hint,
    facts: &'h dyn Facts,
    contract: Contract,
    /// Where each parameter was given its meaning.
    said: Vec<Option<Column>>,
    /// Parameters that are a `va_list`: their meaning stands with the format.
    list_said: Vec<Slot>,
    /// From where the function may be called.
    context: Flags,
}

impl Lowering<'_> {
    fn item(&mut self, item: &Item) -> Result<(), HintError> {
        match &item.kind {
            ItemKind::Returns(words) => self.result(item.column, words),
            ItemKind::Flag(flags) => {
                self.contract.flags = self.contract.flags.union(*flags);
                Ok(())
            }
            ItemKind::From(context) => {
                self.context = *context;
                Ok(())
            }
            ItemKind::UserData(target) => {
                let slot = self.slot(target, Scope::Function)?;
                self.set(slot, item.column, Param::UserData)
            }
            _ => {
                let (slot, meaning) = self.meaning(item, Scope::Function)?;
                let user = match &meaning {
                    Param::Callback(callback) => callback.user,
                    Param::Format(Format { args: FormatArgs::VaList(list), .. }) => {
                        self.list_said.push(*list);
                        None
                    }
                    _ => None,
                };
                self.set(slot, item.column, meaning)?;
                match user {
                    Some(user) if self.contract.params.get(usize::from(user)) == Some(&Param::UserData) => Ok(()),
                    Some(user) => self.set(user, item.column, Param::UserData),
                    None => Ok(()),
                }
            }
        }
    }

    fn meaning(&self, item: &Item, scope: Scope) -> Result<(Slot, Param), HintError> {
        let (slot, meaning) = match &item.kind {
            ItemKind::Pointer { target, direction, extent, nullable, deferred, members } => {
                let slot = self.slot(target, scope)?;
                let extent = match extent {
                    Some(words) => self.extent(words, scope)?,
                    None => Extent::Const(self.object_size(target, slot, *direction, scope)?),
                };
                let members = members.iter().map(|member| self.member(member)).collect::<Result<_, _>>()?;
                let pointer =
                    Pointer { direction: *direction, extent, nullable: *nullable, deferred: *deferred, members };
                (slot, Param::Pointer(pointer))
            }
            ItemKind::Callback { target, signature, user, nullable } => {
                let slot = self.slot(target, scope)?;
                let signature = match signature {
                    Some(signature) => *signature,
                    None => self.callback_signature(target, slot, scope)?,
                };
                let user = user.as_ref().map(|user| self.slot(user, scope)).transpose()?;
                (slot, Param::Callback(Callback { signature, user, nullable: *nullable }))
            }
            ItemKind::Handle { target, kind, nullable, fate } => {
                let fate = match fate {
                    FateWords::Used => Fate::Used,
                    FateWords::Released => Fate::Released,
                    FateWords::ReleasedWhen(decisive, value) => {
                        Fate::ReleasedWhen { param: self.slot(decisive, scope)?, value: *value }
                    }
                };
                (self.slot(target, scope)?, Param::Handle(Handle { kind: *kind, nullable: *nullable, fate }))
            }
            ItemKind::HandleOut { target, kind, nullable } => {
                (self.slot(target, scope)?, Param::HandleOut { kind: *kind, nullable: *nullable })
            }
            ItemKind::Format { target, style, va_list } => {
                let args = match va_list {
                    Some(list) => FormatArgs::VaList(self.slot(list, scope)?),
                    None => FormatArgs::Variadic,
                };
                (self.slot(target, scope)?, Param::Format(Format { style: *style, args }))
            }
            ItemKind::UserData(_) | ItemKind::Returns(_) | ItemKind::From(_) | ItemKind::Flag(_) => {
                return Err(self.hint.error(
                    item.column,
                    "this says nothing about a word in memory".to_owned(),
                    MEMBERS,
                ));
            }
        };
        Ok((slot, meaning))
    }

    fn member(&self, item: &Item) -> Result<Member, HintError> {
        let (offset, meaning) = self.meaning(item, Scope::Structure)?;
        Ok(Member { offset, meaning })
    }

    fn set(&mut self, slot: Slot, column: Column, meaning: Param) -> Result<(), HintError> {
        let index = usize::from(slot);
        match (self.said.get_mut(index), self.contract.params.get_mut(index)) {
            (Some(said @ None), Some(param)) => {
                (*said, *param) = (Some(column), meaning);
                Ok(())
            }
            _ => Err(self.hint.error(
                column,
                format!("parameter {slot} of `{}` has two meanings", self.hint.name),
                "keep the one that is right",
            )),
        }
    }

    fn slot(&self, target: &Target, scope: Scope) -> Result<Slot, HintError> {
        let count = self.contract.params.len();
        let position = match (&target.name, scope) {
            (TargetName::Index(offset), Scope::Structure) => {
                return Slot::try_from(*offset).map_err(|_| {
                    let message = format!("offset {offset} is too far: members are described up to offset 252");
                    self.hint.error(target.column, message, "put the member nearer to the start, or pass it by itself")
                });
            }
            (TargetName::Name(name), Scope::Structure) => {
                let message = format!("`{name}` is not a byte offset");
                return Err(self.hint.error(target.column, message, MEMBERS));
            }
            (TargetName::Index(index), Scope::Function) => usize::try_from(*index).ok().filter(|index| *index < count),
            (TargetName::Name(name), Scope::Function) => self.hint.prototype.as_ref().and_then(|prototype| {
                prototype.params.iter().position(|param| param.name.as_deref() == Some(name.as_str()))
            }),
        };
        position.and_then(|position| Slot::try_from(position).ok()).ok_or_else(|| {
            let name = match &target.name {
                TargetName::Index(index) => index.to_string(),
                TargetName::Name(name) => name.clone(),
            };
            let help = match count {
                0 => "the function has no parameters".to_owned(),
                _ => format!("positions go from 0 to {}; names stand in the prototype", count - 1),
            };
            self.hint.error(target.column, format!("`{}` has no parameter `{name}`", self.hint.name), help)
        })
    }

    fn extent(&self, words: &ExtentWords, scope: Scope) -> Result<Extent, HintError> {
        Ok(match words {
            ExtentWords::Const(bytes) => Extent::Const(*bytes),
            ExtentWords::Arg(target, scale) => Extent::Arg { param: self.slot(target, scope)?, scale: *scale },
            ExtentWords::Product(a, b) => Extent::Product(self.slot(a, scope)?, self.slot(b, scope)?),
            ExtentWords::StoredAt(target) => Extent::StoredAt(self.slot(target, scope)?),
            ExtentWords::CString => Extent::CString,
            ExtentWords::CStringMax(target) => Extent::CStringMax(self.slot(target, scope)?),
            ExtentWords::Element(target) => Extent::Element(self.slot(target, scope)?),
            ExtentWords::Region => Extent::Region,
        })
    }

    fn object_size(&self, target: &Target, slot: Slot, direction: Direction, scope: Scope) -> Result<u32, HintError> {
        let known = match scope {
            Scope::Function => self.facts.object_size(slot),
            Scope::Structure => None,
        };
        known.ok_or_else(|| {
            let word = match direction {
                Direction::In => "in",
                Direction::Out => "out",
                Direction::InOut => "inout",
            };
            self.hint.error(
                target.column,
                format!("the size of what parameter {slot} of `{}` points to is not known", self.hint.name),
                format!("state it, e.g. `{word} {slot} size 4` or `{word} {slot} size arg 1`"),
            )
        })
    }

    fn callback_signature(&self, target: &Target, slot: Slot, scope: Scope) -> Result<Signature, HintError> {
        let known = match scope {
            Scope::Function => self.facts.callback_signature(slot),
            Scope::Structure => None,
        };
        known.ok_or_else(|| {
            self.hint.error(
                target.column,
                format!("how `{}` calls back through parameter {slot} is not known", self.hint.name),
                format!("state it, e.g. `cb {slot} (ptr) user 1` or `cb {slot} (i32, ptr) -> i32`"),
            )
        })
    }

    fn result(&mut self, column: Column, words: &ResultWords) -> Result<(), HintError> {
        if self.contract.result != ResultMeaning::Value {
            let message = format!("the result of `{}` has two meanings", self.hint.name);
            return Err(self.hint.error(column, message, "keep the one that is right"));
        }
        self.contract.result = match words {
            ResultWords::Handle { kind, created, nullable } => {
                ResultMeaning::Handle { kind: *kind, created: *created, nullable: *nullable }
            }
            ResultWords::Copied { extent, nullable } => {
                ResultMeaning::Copied { extent: self.extent(extent, Scope::Function)?, nullable: *nullable }
            }
            ResultWords::Own(extent) => ResultMeaning::Own { extent: self.extent(extent, Scope::Function)? },
            ResultWords::UserData => ResultMeaning::UserData,
        };
        Ok(())
    }

    fn finish(mut self, signature: &Signature) -> Result<Contract, HintError> {
        let returns_at = self.hint.items.iter().find(|item| matches!(item.kind, ItemKind::Returns(_)));
        self.contract.flags = self.contract.flags.union(self.context);
        self.contract.check(signature).map_err(|rule| {
            let (column, help) = match rule {
                RuleError::Meaning(slot) => (self.said_at(slot), MEANING),
                RuleError::Reference(slot) => (self.said_at(slot), REFERENCE),
                RuleError::Members(slot) => (self.said_at(slot), MEMBERS),
                RuleError::Deferred(slot) => (self.said_at(slot), DEFERRED),
                RuleError::Result => (returns_at.map_or(self.hint.column, |item| item.column), RESULT),
                RuleError::Count => (self.hint.column, MEANING),
            };
            self.hint.error(column, rule.to_string(), help)
        })?;
        self.every_pointer_has_a_meaning()?;
        Ok(self.contract)
    }

    fn said_at(&self, slot: Slot) -> Column {
        self.said.get(usize::from(slot)).copied().flatten().unwrap_or(self.hint.column)
    }

    fn every_pointer_has_a_meaning(&self) -> Result<(), HintError> {
        let params = self.hint.prototype.iter().flat_map(|prototype| &prototype.params);
        for ((slot, param), said) in (0..=Slot::MAX).zip(params).zip(&self.said) {
            if param.ty == TypeWord::Pointer && said.is_none() && !self.list_said.contains(&slot) {
                return Err(self.hint.error(
                    param.column,
                    format!("`{}` is given a pointer without saying what for", self.hint.name),
                    format!("add an item such as `in {slot} cstr`, or write `i32` if it is never used as an address"),
                ));
            }
        }
        Ok(())
    }
}

const MEANING: &str = "only `i32` and `ptr` parameters can be pointers, callbacks, handles or formats; a string is \
    read (`in` or `inout`); a format without `va` needs a variadic function";
const REFERENCE: &str = "`arg`, `max`, `when` and `va` name a number, `element` a queue handle, `at` a pointer that is \
    read with `size 4` or more, `user` a parameter without another meaning";
const MEMBERS: &str =
    "inside braces, give byte offsets: ascending multiples of 4 inside a pointer with a constant `size`";
const DEFERRED: &str = "name the object on whose behalf it is written (`handle`, `out … handle` or `returns handle`), or leave \
    `deferred` out";
const RESULT: &str = "only an `i32` or `ptr` result can have a meaning, and it refers to parameters that are numbers";
