/// Runs a program over classified text. The backtrack stack is an array, so the depth of a match is bounded by memory
/// that the step limit bounds in turn; nothing recurses.
struct RegexMatcher {
  private var stack: [Frame] = []
  private var registers: [Int] = []
  /// Steps left to all matches of one text.
  var budget: Int
  private let limit: Int

  private struct Frame {
    var kind: Kind
    /// Resume at this instruction, or the register to restore.
    var target: Int32
    var set: Int32 = 0
    var position: Int
    /// The least position of a loop that gives back, the number of further scalars one may take.
    var bound: Int = 0
  }

  private enum Kind: UInt8 {
    case branch, giveBack, takeMore, restore
    case lookAhead, negativeLookAhead, atomic
  }

  /// `textLength` sets the step limit: what published patterns need is below forty steps a byte.
  init(textLength: Int, stepsPerByte: Int = 512) {
    limit = 1 << 16 + stepsPerByte * textLength
    budget = limit
  }

  /// The end of the match that begins at `start`, or −1. Positions are byte offsets; `bounds` is all there is of text.
  mutating func match(
    _ program: borrowing RegexProgram, entry: Int, classes: Span<UInt8>, at start: Int, within bounds: Range<Int>
  ) throws(RegexError) -> Int {
    let code = program.instructions.span
    let members = program.members.span
    let end = bounds.upperBound
    stack.removeAll(keepingCapacity: true)
    if registers.count < program.registerCount {
      registers = [Int](repeating: -1, count: program.registerCount)
    }
    var pc = entry
    var position = start

    @inline(__always) func isMember(_ set: Int32, _ position: Int) -> Bool {
      members[Int(set) << 8 | Int(classes[position])] != 0
    }
    @inline(__always) func after(_ position: Int) -> Int {
      var next = position + 1
      while next < end, classes[next] == ClassMap.continuation { next += 1 }
      return next
    }
    @inline(__always) func before(_ position: Int) -> Int {
      var previous = position - 1
      while previous > bounds.lowerBound, classes[previous] == ClassMap.continuation { previous -= 1 }
      return previous
    }

    while true {
      budget -= 1
      if budget < 0 { throw .stepLimit(limit: limit) }
      let instruction = code[pc]
      var succeeded = true
      switch instruction.operation {
      case .match: return position
      case .set:
        if position < end, isMember(instruction.a, position) {
          position = after(position)
          pc += 1
        } else {
          succeeded = false
        }
      case .loop, .possessiveLoop:
        let first = position
        if instruction.c < 0, instruction.b <= 1 {
          // Continuation bytes are members of every set: the loop runs over bytes.
          while position < end, isMember(instruction.a, position) { position += 1 }
          succeeded = instruction.b == 0 || position > first
          if succeeded, instruction.operation == .loop {
            let least = instruction.b == 0 ? first : after(first)
            if position > least {
              stack.append(.init(kind: .giveBack, target: Int32(pc + 1), position: position, bound: least))
            }
          }
        } else {
          var count: Int32 = 0
          var least = position
          while position < end, count != instruction.c, isMember(instruction.a, position) {
            position = after(position)
            count += 1
            if count == instruction.b { least = position }
          }
          succeeded = count >= instruction.b
          if succeeded, instruction.operation == .loop, position > least {
            stack.append(.init(kind: .giveBack, target: Int32(pc + 1), position: position, bound: least))
          }
        }
        budget -= position - first
        pc += 1
      case .lazyLoop:
        var count: Int32 = 0
        while count < instruction.b, position < end, isMember(instruction.a, position) {
          position = after(position)
          count += 1
        }
        budget -= Int(count)
        succeeded = count == instruction.b
        let more = instruction.c < 0 ? Int.max : Int(instruction.c - instruction.b)
        if succeeded, more > 0 {
          stack.append(
            .init(kind: .takeMore, target: Int32(pc + 1), set: instruction.a, position: position, bound: more))
        }
        pc += 1
      case .split:
        stack.append(.init(kind: .branch, target: instruction.b, position: position))
        pc = Int(instruction.a)
      case .jump: pc = Int(instruction.a)
      case .lookAhead, .lookBehind:
        stack.append(.init(kind: .lookAhead, target: instruction.a, position: position))
        (position, succeeded) = back(position, instruction.b, before, bounds)
        pc += 1
      case .negativeLookAhead, .negativeLookBehind:
        stack.append(.init(kind: .negativeLookAhead, target: instruction.a, position: position))
        (position, succeeded) = back(position, instruction.b, before, bounds)
        pc += 1
      case .atomic:
        stack.append(.init(kind: .atomic, target: instruction.a, position: position))
        pc += 1
      case .close:
        // Drop the choices made inside, down to the frame that opened it.
        close: while let frame = stack.popLast() {
          switch frame.kind {
          case .branch, .giveBack, .takeMore: continue
          case .restore: registers[Int(frame.target)] = frame.position
          case .lookAhead:
            position = frame.position
            pc = Int(frame.target)
            break close
          case .negativeLookAhead:
            succeeded = false
            break close
          case .atomic:
            pc = Int(frame.target)
            break close
          }
        }
      case .enter:
        let register = Int(instruction.a)
        stack.append(.init(kind: .restore, target: instruction.a, position: registers[register]))
        registers[register] = position
        pc += 1
      case .leaveUnlessMoved:
        pc += registers[Int(instruction.a)] == position ? 2 : 1
      case .lineStart:
        succeeded = position == bounds.lowerBound || isMember(instruction.a, before(position))
        pc += 1
      case .lineEnd:
        succeeded = position == end || isMember(instruction.a, position)
        pc += 1
      case .textStart:
        succeeded = position == bounds.lowerBound
        pc += 1
      case .textEnd:
        succeeded = position == end
        pc += 1
      case .textEndOrNewline:
        succeeded = position == end || (after(position) == end && isMember(instruction.a, position))
        pc += 1
      case .wordBoundary, .notWordBoundary:
        let left = position > bounds.lowerBound && isMember(instruction.a, before(position))
        let right = position < end && isMember(instruction.a, position)
        succeeded = (left != right) == (instruction.operation == .wordBoundary)
        pc += 1
      }
      if succeeded { continue }

      backtrack: while true {
        guard let frame = stack.last else { return -1 }
        switch frame.kind {
        case .branch:
          stack.removeLast()
          (pc, position) = (Int(frame.target), frame.position)
          break backtrack
        case .giveBack:
          position = before(frame.position)
          pc = Int(frame.target)
          if position > frame.bound {
            stack[stack.count - 1].position = position
          } else {
            stack.removeLast()
          }
          break backtrack
        case .takeMore:
          guard frame.position < end, isMember(frame.set, frame.position) else {
            stack.removeLast()
            continue backtrack
          }
          position = after(frame.position)
          pc = Int(frame.target)
          if frame.bound > 1 {
            stack[stack.count - 1].position = position
            stack[stack.count - 1].bound = frame.bound - 1
          } else {
            stack.removeLast()
          }
          break backtrack
        case .restore:
          stack.removeLast()
          registers[Int(frame.target)] = frame.position
        case .lookAhead, .atomic: stack.removeLast()
        case .negativeLookAhead:
          stack.removeLast()
          (pc, position) = (Int(frame.target), frame.position)
          break backtrack
        }
      }
    }
  }

  /// `count` scalars before `position`, or failure where the text does not reach that far.
  @inline(__always)
  private func back(_ position: Int, _ count: Int32, _ before: (Int) -> Int, _ bounds: Range<Int>) -> (Int, Bool) {
    var position = position
    for _ in 0..<count {
      if position == bounds.lowerBound { return (position, false) }
      position = before(position)
    }
    return (position, true)
  }
}
