/// Turns a syntax tree into a program, deciding here whatever can be decided without the text.
struct RegexCompiler {
  private var program: RegexProgram
  private var setNumbers: [ScalarSet: Int32] = [:]
  /// By set: its classes.
  private var setClasses: [SIMD4<UInt64>] = []

  /// What may stand right after a node: a loop whose characters cannot begin it need never give any back.
  private struct Follow {
    var first: SIMD4<UInt64>
    /// The remainder can match nothing, so anything may follow.
    var isNullable: Bool
    /// The remainder is the end of the match, which cannot fail.
    var accepts: Bool

    static let unknown = Follow(first: SIMD4(repeating: .max), isNullable: true, accepts: false)
    static let end = Follow(first: .zero, isNullable: true, accepts: true)
  }

  static func compile(_ root: RegexNode) throws(RegexError) -> RegexProgram {
    var sets: Set<ScalarSet> = [ScalarSet(0x0A), .word]
    collect(root, into: &sets)
    let ordered = sets.sorted { $0.boundaries.lexicographicallyPrecedes($1.boundaries) }
    var compiler = RegexCompiler(try ClassMap(sets: ordered), sets: ordered)
    try compiler.alternatives(of: root)
    return compiler.program
  }

  private init(_ classes: ClassMap, sets: [ScalarSet]) {
    program = RegexProgram(classes: classes)
    for (number, set) in sets.enumerated() {
      setNumbers[set] = Int32(number)
      var table = [UInt8](repeating: 0, count: 256)
      var mask = SIMD4<UInt64>()
      for (index, isMember) in classes.members(of: set).enumerated() where isMember {
        table[index] = 1
        if index > 0 { mask[index / 64] |= 1 << UInt64(index % 64) }
      }
      program.members += table
      setClasses.append(mask)
    }
  }

  private static func collect(_ node: RegexNode, into sets: inout Set<ScalarSet>) {
    switch node {
    case .empty, .anchor: break
    case .set(let set): sets.insert(set)
    case .sequence(let nodes), .alternatives(let nodes): for node in nodes { collect(node, into: &sets) }
    case .repetition(let node, _, _, _), .lookAhead(let node, _), .lookBehind(let node, _), .atomic(let node):
      collect(node, into: &sets)
    }
  }

  private func number(of set: ScalarSet) -> Int32 { setNumbers[set] ?? 0 }

  private mutating func alternatives(of root: RegexNode) throws(RegexError) {
    var branches = [root]
    if case .alternatives(let nodes) = root, nodes.count <= 64 { branches = nodes }
    program.candidates = [UInt64](repeating: 0, count: 256)
    for (index, branch) in branches.enumerated() {
      program.entries.append(program.instructions.count)
      try emit(branch, before: .end)
      try append(.match)
      let (first, isNullable) = first(of: branch)
      for number in 0..<256 where isNullable || first[number / 64] >> UInt64(number % 64) & 1 == 1 {
        program.candidates[number] |= 1 << UInt64(index)
      }
    }
  }

  @discardableResult
  private mutating func append(_ operation: RegexProgram.Operation, _ a: Int32 = 0, _ b: Int32 = 0, _ c: Int32 = 0)
    throws(RegexError) -> Int
  {
    guard program.instructions.count < RegexProgram.instructionLimit else {
      throw .tooLarge(limit: RegexProgram.instructionLimit)
    }
    program.instructions.append(.init(operation: operation, a: a, b: b, c: c))
    return program.instructions.count - 1
  }

  private var here: Int32 { Int32(program.instructions.count) }

  /// The classes a match can begin with, and whether it can be empty. Assertions count as empty.
  private func first(of node: RegexNode) -> (SIMD4<UInt64>, isNullable: Bool) {
    switch node {
    case .empty, .anchor, .lookAhead, .lookBehind: return (.zero, true)
    case .set(let set): return (setClasses[Int(number(of: set))], false)
    case .atomic(let inner): return first(of: inner)
    case .repetition(let inner, let minimum, let maximum, _):
      if maximum == 0 { return (.zero, true) }
      let (mask, isNullable) = first(of: inner)
      return (mask, isNullable || minimum == 0)
    case .sequence(let nodes):
      var mask = SIMD4<UInt64>()
      for node in nodes {
        let (more, isNullable) = first(of: node)
        mask |= more
        if !isNullable { return (mask, false) }
      }
      return (mask, true)
    case .alternatives(let nodes):
      var mask = SIMD4<UInt64>()
      var anyNullable = false
      for node in nodes {
        let (more, isNullable) = first(of: node)
        mask |= more
        anyNullable = anyNullable || isNullable
      }
      return (mask, anyNullable)
    }
  }

  private mutating func emit(_ node: RegexNode, before follow: Follow) throws(RegexError) {
    switch node {
    case .empty: break
    case .set(let set): try append(.set, number(of: set))
    case .sequence(let nodes): try sequence(nodes, before: follow)
    case .alternatives(let nodes):
      var jumps: [Int] = []
      for (index, branch) in nodes.enumerated() {
        guard index + 1 < nodes.count else {
          try emit(branch, before: follow)
          break
        }
        let split = try append(.split)
        program.instructions[split].a = here
        try emit(branch, before: follow)
        jumps.append(try append(.jump))
        program.instructions[split].b = here
      }
      for jump in jumps { program.instructions[jump].a = here }
    case .repetition(let inner, let minimum, let maximum, let greed):
      try repetition(inner, minimum, maximum, greed, before: follow)
    case .lookAhead(let inner, let isNegative):
      try enclosed(inner, isNegative ? .negativeLookAhead : .lookAhead)
    case .lookBehind(let inner, let isNegative):
      try enclosed(inner, isNegative ? .negativeLookBehind : .lookBehind, distance: inner.fixedLength ?? 0)
    case .atomic(let inner): try enclosed(inner, .atomic)
    case .anchor(let anchor): try emit(anchor)
    }
  }

  private mutating func emit(_ anchor: RegexNode.Anchor) throws(RegexError) {
    let newline = number(of: ScalarSet(0x0A))
    let word = number(of: .word)
    switch anchor {
    case .lineStart: try append(.lineStart, newline)
    case .lineEnd: try append(.lineEnd, newline)
    case .textStart: try append(.textStart)
    case .textEnd: try append(.textEnd)
    case .textEndOrNewline: try append(.textEndOrNewline, newline)
    case .wordBoundary: try append(.wordBoundary, word)
    case .notWordBoundary: try append(.notWordBoundary, word)
    }
  }

  private mutating func enclosed(_ node: RegexNode, _ operation: RegexProgram.Operation, distance: Int = 0)
    throws(RegexError)
  {
    let open = try append(operation, 0, Int32(distance))
    try emit(node, before: .end)
    try append(.close)
    program.instructions[open].a = here
  }

  private mutating func sequence(_ nodes: [RegexNode], before follow: Follow) throws(RegexError) {
    // What follows each node, from the back.
    var follows = [follow]
    for node in nodes.dropFirst().reversed() {
      let (mask, isNullable) = first(of: node)
      let later = follows[follows.count - 1]
      follows.append(
        Follow(
          first: isNullable ? mask | later.first : mask, isNullable: isNullable && later.isNullable, accepts: false))
    }
    for (node, follow) in zip(nodes, follows.reversed()) { try emit(node, before: follow) }
  }

  private mutating func repetition(
    _ node: RegexNode, _ minimum: Int, _ maximum: Int?, _ greed: RegexNode.Greed, before follow: Follow
  ) throws(RegexError) {
    if case .set(let set) = node {
      let mask = setClasses[Int(number(of: set))]
      let isDisjoint = !follow.isNullable && (mask & follow.first) == .zero
      let operation: RegexProgram.Operation =
        switch greed {
        case .lazy: .lazyLoop
        case .possessive: .possessiveLoop
        case .greedy: follow.accepts || isDisjoint ? .possessiveLoop : .loop
        }
      try append(operation, number(of: set), Int32(clamping: minimum), maximum.map { Int32(clamping: $0) } ?? -1)
      return
    }
    if greed == .possessive {
      try enclosed(.repetition(node, minimum: minimum, maximum: maximum, .greedy), .atomic)
      return
    }
    for _ in 0..<minimum { try emit(node, before: .unknown) }
    let (_, isNullable) = first(of: node)
    if let maximum {
      var splits: [Int] = []
      for _ in minimum..<max(minimum, maximum) {
        splits.append(try append(.split))
        try emit(node, before: .unknown)
      }
      for split in splits { branch(split, into: Int32(split + 1), past: here, greed) }
    } else {
      let register = Int32(program.registerCount)
      if isNullable { program.registerCount += 1 }
      let split = try append(.split)
      if isNullable { try append(.enter, register) }
      try emit(node, before: .unknown)
      if isNullable { try append(.leaveUnlessMoved, register) }
      try append(.jump, Int32(split))
      branch(split, into: Int32(split + 1), past: here, greed)
    }
  }

  private mutating func branch(_ split: Int, into body: Int32, past end: Int32, _ greed: RegexNode.Greed) {
    program.instructions[split].a = greed == .lazy ? end : body
    program.instructions[split].b = greed == .lazy ? body : end
  }
}
