//! The order of blocks and the form of branches.

use super::listing::becomes;
use crate::codegen::layout::{Item, Located, assemble};
use crate::codegen::machine::Block;
use espb_format::instruction::Instruction;
use espb_format::opcode::Opcode;

#[test]
fn a_loop_lies_in_one_piece_and_what_follows_it_behind_it() {
    // The test moves to the loop's end, so that a round costs one branch; the block that leaves the loop comes last.
    becomes(
        "define i32 @f(i32 %n) {
        entry:
            br label %head
        head:
            %i = phi i32 [ %n, %entry ], [ %j, %body ]
            %s = phi i32 [ 0, %entry ], [ %t, %body ]
            %c = icmp eq i32 %i, 0
            br i1 %c, label %end, label %body
        body:
            %t = add i32 %s, %i
            %j = add i32 %i, -1
            br label %head
        end:
            ret i32 %s
        }",
        "
        f(i32) -> i32: 2 slots
            ldi r1, 0
            jmp L2
        L1:
            add r1, r1, r0
            addi r0, r0, -1
        L2:
            bnez r0, L1
            ret32 r1
        ",
    );
}

#[test]
fn what_closes_a_loop_lies_before_its_first_block() {
    // Both sides branch to it; a jump back would be one more each round.
    becomes(
        "declare void @g(i32)
        define void @f(i32 %n, i32 %m) {
        entry:
            br label %head
        head:
            %i = phi i32 [ %n, %entry ], [ %j, %next ]
            %c = icmp slt i32 %i, %m
            br i1 %c, label %next, label %body
        body:
            call void @g(i32 %i)
            %d = icmp eq i32 %i, 77
            br i1 %d, label %next, label %more
        more:
            call void @g(i32 %m)
            %e = icmp eq i32 %i, 99
            br i1 %e, label %end, label %next
        next:
            %j = add i32 %i, 3
            br label %head
        end:
            ret void
        }",
        "
        f(i32, i32): 5 slots
            jmp L2
        L1:
            addi r0, r0, 3
        L2:
            blts r0, r1, L1
            mov r4, r0
            callh w4, g
            beqi r0, 77, L1
            mov r4, r1
            callh w4, g
            bnei r0, 99, L1
            ret
        ",
    );
}

#[test]
fn the_side_that_follows_needs_no_jump() {
    becomes(
        "define i32 @f(i32 %a, i32 %b) {
            %c = icmp slt i32 %a, %b
            br i1 %c, label %less, label %more
        less:
            %x = sub i32 %b, %a
            br label %end
        more:
            %y = sub i32 %a, %b
            br label %end
        end:
            %r = phi i32 [ %x, %less ], [ %y, %more ]
            %s = mul i32 %r, %r
            ret i32 %s
        }",
        "
        f(i32, i32) -> i32: 2 slots
            bges r0, r1, L1
            sub r0, r1, r0
            jmp L2
        L1:
            sub r0, r0, r1
        L2:
            mul r0, r0, r0
            ret32 r0
        ",
    );
}

#[test]
fn a_jump_to_a_return_is_a_return() {
    becomes(
        "declare void @g(i32)
        define void @f(i32 %a) {
            %c = icmp eq i32 %a, 5
            br i1 %c, label %one, label %other
        one:
            call void @g(i32 1)
            br label %end
        other:
            call void @g(i32 2)
            br label %end
        end:
            ret void
        }",
        "
        f(i32): 3 slots
            bnei r0, 5, L1
            ldi r2, 1
            callh w2, g
            ret
        L1:
            ldi r2, 2
            callh w2, g
            ret
        ",
    );
}

/// The opcodes of a function whose first block branches over `between` words.
fn branch_over(between: usize) -> Vec<Opcode> {
    let plain = |opcode| -> Located { (Item::Plain(Instruction::new(opcode, &[])), None) };
    let branch = Item::Branch { opcode: Opcode::BranchEqual, operands: vec![1, 2], to: Block(2) };
    let blocks = [
        (Block(0), vec![(branch, None)]),
        (Block(1), (0..between).map(|_| plain(Opcode::Unreachable)).collect()),
        (Block(2), vec![plain(Opcode::Return)]),
    ];
    let code = assemble(&blocks, 3).expect("everything is in reach");
    code.words.iter().filter_map(|word| Opcode::from_byte(*word as u8)).collect()
}

#[test]
fn a_branch_goes_around_a_jump_only_where_its_target_is_out_of_reach() {
    assert_eq!(branch_over(126)[..2], [Opcode::BranchEqual, Opcode::Unreachable], "127 words on");
    assert_eq!(branch_over(127)[..2], [Opcode::BranchNotEqual, Opcode::Jump]);
}
