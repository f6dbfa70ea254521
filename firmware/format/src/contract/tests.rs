//! What translator and firmware rely on: round trips, one encoding a contract, and a decoder that survives any bytes.

use super::*;
use ValType::{F64, I32, I64};
use alloc::{vec, vec::Vec};

fn sig(params: &[ValType], result: Option<ValType>) -> Signature {
    Signature::new(params, result, false).unwrap()
}

fn variadic(params: &[ValType], result: Option<ValType>) -> Signature {
    Signature::new(params, result, true).unwrap()
}

fn callback(params: &[ValType], user: Option<Slot>) -> Param {
    Param::Callback(Callback { signature: sig(params, None), user, nullable: false })
}

fn pointer(direction: Direction, extent: Extent) -> Param {
    Param::Pointer(Pointer::new(direction, extent))
}

const fn handle(kind: HandleKind, fate: Fate) -> Param {
    Param::Handle(Handle { kind, nullable: false, fate })
}

fn x_task_create() -> (Signature, Contract) {
    let params = vec![
        callback(&[I32], Some(3)),
        pointer(Direction::In, Extent::CString),
        Param::Value,
        Param::UserData,
        Param::Value,
        Param::HandleOut { kind: HandleKind::Task, nullable: true },
    ];
    (sig(&[I32; 6], Some(I32)), Contract { params, ..Contract::default() })
}

/// Every meaning at least once.
fn samples() -> Vec<(Signature, Contract)> {
    let create_args = Pointer {
        members: vec![
            Member { offset: 0, meaning: callback(&[I32], Some(4)) },
            Member { offset: 12, meaning: pointer(Direction::In, Extent::CString) },
            Member { offset: 16, meaning: pointer(Direction::Out, Extent::Arg { param: 20, scale: 1 }) },
        ],
        ..Pointer::new(Direction::In, Extent::Const(24))
    };
    let with = |params: Vec<Param>, result| Contract { params, result, ..Contract::default() };
    let mut wide = vec![Param::Value; 20];
    wide[17] = pointer(Direction::InOut, Extent::Product(18, 19));
    wide[16] = callback(&[I64, F64], None);
    vec![
        x_task_create(),
        (
            sig(&[I32; 3], None),
            with(vec![callback(&[], Some(2)), callback(&[I32], Some(2)), Param::UserData], ResultMeaning::Value),
        ),
        (sig(&[F64, I64], Some(F64)), with(vec![Param::Value; 2], ResultMeaning::Value)),
        (
            variadic(&[I32; 3], Some(I32)),
            with(
                vec![
                    pointer(Direction::Out, Extent::Arg { param: 1, scale: 1 }),
                    Param::Value,
                    Param::Format(Format { style: FormatStyle::Print, args: FormatArgs::Variadic }),
                ],
                ResultMeaning::Value,
            ),
        ),
        (
            sig(&[I32; 2], Some(I32)),
            with(
                vec![Param::Format(Format { style: FormatStyle::Scan, args: FormatArgs::VaList(1) }), Param::Value],
                ResultMeaning::UserData,
            ),
        ),
        (
            sig(&[I32; 4], Some(I32)),
            with(
                vec![
                    handle(HandleKind::Queue, Fate::Used),
                    pointer(Direction::In, Extent::Element(0)),
                    Param::Value,
                    handle(HandleKind::Timer, Fate::ReleasedWhen { param: 2, value: 5 }),
                ],
                ResultMeaning::Copied { extent: Extent::CString, nullable: true },
            ),
        ),
        (
            sig(&[I32; 5], Some(I32)),
            with(
                vec![
                    Param::Pointer(create_args),
                    Param::HandleOut { kind: HandleKind::EspTimer, nullable: false },
                    pointer(Direction::InOut, Extent::Const(4)),
                    Param::Pointer(Pointer {
                        nullable: true,
                        deferred: true,
                        ..Pointer::new(Direction::Out, Extent::StoredAt(2))
                    }),
                    Param::UserData,
                ],
                ResultMeaning::Handle { kind: HandleKind::StreamBuffer, created: true, nullable: true },
            ),
        ),
        (
            sig(&[I32; 4], Some(I32)),
            with(
                vec![
                    Param::Value,
                    pointer(Direction::In, Extent::CStringMax(0)),
                    pointer(Direction::Out, Extent::Arg { param: 0, scale: 300 }),
                    handle(HandleKind::File, Fate::Released),
                ],
                ResultMeaning::Own { extent: Extent::Region },
            ),
        ),
        (sig(&[I32; 20], None), with(wide, ResultMeaning::Value)),
    ]
}

#[test]
fn contracts_survive_the_round_trip() {
    for (signature, contract) in samples() {
        let encoded = contract.encode(&signature).unwrap();
        assert_eq!(Contract::decode(&signature, &encoded.immeta, &encoded.cbmeta), Ok(contract));
    }
}

#[test]
fn plain_values_cost_nothing_and_x_task_create_costs_eight_bytes() {
    let vtaskdelay = sig(&[I32], None);
    let plain = Contract::plain(&vtaskdelay);
    assert!(plain.is_plain());
    assert_eq!(plain.encode(&vtaskdelay), Ok(Encoded::default()));

    let (signature, contract) = x_task_create();
    let encoded = contract.encode(&signature).unwrap();
    assert_eq!(encoded.immeta, [0x11, 0x04, 0x55, 0x10]);
    assert_eq!(encoded.cbmeta, [0x20, 0x10, 0x00, 0x03]);
}

#[test]
fn every_truncation_is_refused_or_is_a_smaller_contract_with_the_same_encoding() {
    for (signature, contract) in samples() {
        let whole = contract.encode(&signature).unwrap();
        for (immeta, cbmeta) in (0..whole.immeta.len())
            .map(|n| (&whole.immeta[..n], &whole.cbmeta[..]))
            .chain((0..whole.cbmeta.len()).map(|n| (&whole.immeta[..], &whole.cbmeta[..n])))
        {
            if let Ok(smaller) = Contract::decode(&signature, immeta, cbmeta) {
                assert_ne!(smaller, contract);
                let again = smaller.encode(&signature).unwrap();
                assert_eq!((&again.immeta[..], &again.cbmeta[..]), (immeta, cbmeta));
            }
        }
    }
}

#[test]
fn what_is_accepted_after_mutation_has_that_very_encoding() {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = move |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % bound as u64).unwrap()
    };
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..20_000 {
        for (signature, contract) in samples() {
            let mut bytes = contract.encode(&signature).unwrap();
            let target = if random(3) == 0 { &mut bytes.cbmeta } else { &mut bytes.immeta };
            match (random(3), target.len()) {
                (0, n) => target.insert(random(n + 1), u8::try_from(random(256)).unwrap()),
                (_, 0) => {}
                (1, n) => target[random(n)] = u8::try_from(random(256)).unwrap(),
                (_, n) => drop(target.remove(random(n))),
            }
            match Contract::decode(&signature, &bytes.immeta, &bytes.cbmeta) {
                Ok(contract) => {
                    accepted += 1;
                    assert_eq!(contract.encode(&signature), Ok(bytes));
                }
                Err((half, error)) => {
                    refused += 1;
                    let length = if half == Half::Immeta { bytes.immeta.len() } else { bytes.cbmeta.len() };
                    assert!(error.offset as usize <= length);
                }
            }
        }
    }
    assert!(accepted > 1000 && refused > 1000, "{accepted} accepted, {refused} refused");
}

fn refused(signature: &Signature, params: Vec<Param>, result: ResultMeaning) -> RuleError {
    Contract { params, result, flags: Flags::NONE }.encode(signature).unwrap_err()
}

#[test]
fn contracts_that_make_no_sense_are_not_encoded() {
    let two = sig(&[I32, I32], None);
    let value = ResultMeaning::Value;
    let out = |extent| pointer(Direction::Out, extent);
    assert_eq!(refused(&two, vec![Param::Value], value), RuleError::Count);
    let wide = sig(&[I64, I32], None);
    assert_eq!(refused(&wide, vec![out(Extent::Const(4)), Param::Value], value), RuleError::Meaning(0));
    let sized_by_wide = vec![Param::Value, out(Extent::Arg { param: 0, scale: 1 })];
    assert_eq!(refused(&wide, sized_by_wide, value), RuleError::Reference(1));
    let sized_by_nothing = vec![out(Extent::Arg { param: 2, scale: 1 }), Param::Value];
    assert_eq!(refused(&two, sized_by_nothing, value), RuleError::Reference(0));
    let times_nothing = vec![Param::Value, out(Extent::Arg { param: 0, scale: 0 })];
    assert_eq!(refused(&two, times_nothing, value), RuleError::Reference(1));
    let element_of_timer = vec![handle(HandleKind::Timer, Fate::Used), out(Extent::Element(0))];
    assert_eq!(refused(&two, element_of_timer, value), RuleError::Reference(1));
    let user_is_value = vec![callback(&[], Some(1)), Param::Value];
    assert_eq!(refused(&two, user_is_value, value), RuleError::Reference(0));
    assert_eq!(refused(&two, vec![out(Extent::CString), Param::Value], value), RuleError::Meaning(0));
    let no_arguments = Param::Format(Format { style: FormatStyle::Print, args: FormatArgs::Variadic });
    assert_eq!(refused(&two, vec![no_arguments, Param::Value], value), RuleError::Meaning(0));
    assert_eq!(refused(&two, vec![Param::Value; 2], ResultMeaning::UserData), RuleError::Result);
}

#[test]
fn members_stay_inside_their_structure() {
    let one = sig(&[I32], None);
    let with = |members: Vec<(Slot, Param)>| {
        let members = members.into_iter().map(|(offset, meaning)| Member { offset, meaning }).collect();
        let pointer = Pointer { members, ..Pointer::new(Direction::In, Extent::Const(12)) };
        Contract { params: vec![Param::Pointer(pointer)], ..Contract::default() }.encode(&one)
    };
    let string = || pointer(Direction::In, Extent::CString);
    assert!(with(vec![(0, callback(&[I32], Some(4))), (8, string())]).is_ok());
    let bad = Err(RuleError::Members(0));
    assert_eq!(with(vec![(12, string())]), bad);
    assert_eq!(with(vec![(6, string())]), bad);
    assert_eq!(with(vec![(8, string()), (4, string())]), bad);
    assert_eq!(with(vec![(0, callback(&[I32], Some(12)))]), bad);
    assert_eq!(with(vec![(0, callback(&[I32], Some(8))), (8, string())]), bad);
    assert_eq!(with(vec![(0, Param::Value)]), bad);
}

#[test]
fn a_callback_may_have_any_signature() {
    let long: Vec<ValType> = (0..24).map(|n| ValType::from_code(n * 7)).collect();
    for count in 0..=24 {
        for result in [None, Some(I32), Some(I64), Some(F64)] {
            for signature in [sig(&long[..count], result), variadic(&long[..count], result)] {
                let import = sig(&[I32], None);
                let params = vec![Param::Callback(Callback { signature, user: None, nullable: true })];
                let contract = Contract { params, ..Contract::default() };
                let encoded = contract.encode(&import).unwrap();
                assert_eq!(Contract::decode(&import, &encoded.immeta, &encoded.cbmeta), Ok(contract));
            }
        }
    }
}

#[test]
fn imports_with_the_same_contract_share_one_record() {
    let mut section = Vec::new();
    assert_eq!(push_record(&mut section, &[1, 2]), Ok(Some(0)));
    assert_eq!(push_record(&mut section, &[]), Ok(None));
    assert_eq!(push_record(&mut section, &[3]), Ok(Some(3)));
    assert_eq!(push_record(&mut section, &[1, 2]), Ok(Some(0)));
    assert_eq!(section, [2, 1, 2, 1, 3]);
    assert_eq!(record(&section, Some(3)), Ok((&[3][..], 4)));
    assert_eq!(record(&section, None), Ok((&[][..], 0)));
}

#[test]
fn a_record_never_leaves_its_section() {
    let reason = |section: &[u8], offset| record(section, Some(offset)).unwrap_err();
    assert_eq!(reason(&[2, 9], 0), DecodeError { offset: 1, reason: Reason::Truncated });
    assert_eq!(reason(&[1, 9], 2), DecodeError { offset: 2, reason: Reason::Truncated });
    assert_eq!(reason(&[1, 9], 7), DecodeError { offset: 0, reason: Reason::Truncated });
    assert_eq!(reason(&[0, 9], 0), DecodeError { offset: 0, reason: Reason::Empty });
    assert_eq!(reason(&[0x81, 0, 9], 0), DecodeError { offset: 0, reason: Reason::Number });
    assert_eq!(reason(&[0xFF, 0xFF, 0xFF, 0xFF, 0x7F], 0), DecodeError { offset: 0, reason: Reason::Number });
}

#[test]
fn a_module_that_lies_about_an_import_is_found_out() {
    let (signature, contract) = x_task_create();
    static TABLE: &[HostContract] = &[
        HostContract { name: "a", signature: [0; 8], immeta: &[], cbmeta: &[], flags: Flags::NO_RETURN },
        HostContract {
            name: "xTaskCreate",
            signature: [6, 1, 0, 0, 0, 0, 0, 0],
            immeta: &[0x11, 0x04, 0x55, 0x10],
            cbmeta: &[0x20, 0x10, 0x00, 0x03],
            flags: Flags::NONE,
        },
    ];
    let host = find(TABLE, "xTaskCreate").unwrap();
    assert_eq!(Contract::decode(&signature, host.immeta, host.cbmeta), Ok(contract.clone()));
    let honest = contract.encode(&signature).unwrap();
    assert_eq!(host.check(&signature, &honest.immeta, &honest.cbmeta), Ok(()));
    assert_eq!(host.check(&signature, &[], &honest.cbmeta), Err(Contradiction::Marshalling));
    assert_eq!(host.check(&signature, &honest.immeta, &[]), Err(Contradiction::Callbacks));
    assert_eq!(host.check(&sig(&[I32; 6], None), &honest.immeta, &honest.cbmeta), Err(Contradiction::Signature));
    assert_eq!(find(TABLE, "b"), None);
}

#[test]
fn kinds_of_handles_keep_their_codes() {
    for kind in HandleKind::ALL {
        assert_eq!(HandleKind::from_code(kind.code()), Some(*kind));
        assert!(kind.code() < 16, "a kind has four bits");
    }
}
