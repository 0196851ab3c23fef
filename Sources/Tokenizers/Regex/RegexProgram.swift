/// A pattern as instructions for the backtracking matcher.
///
/// The top level's alternatives are programs of their own; `candidates` tells for the class at a position which of
/// them could match there, so most are never tried.
struct RegexProgram: Sendable {
  struct Instruction: Sendable {
    var operation: Operation
    /// Set number, jump target, register or anchor, as the operation says.
    var a: Int32 = 0
    var b: Int32 = 0
    var c: Int32 = 0
  }

  enum Operation: UInt8, Sendable {
    case match
    /// One scalar of set `a`.
    case set
    /// Between `b` and `c` (−1: any number) scalars of set `a`.
    case loop, lazyLoop, possessiveLoop
    /// Try `a`, then `b`.
    case split
    case jump
    /// Run what follows as an assertion, resuming at `a` behind it; look-behind starts `b` scalars back.
    case lookAhead, negativeLookAhead, lookBehind, negativeLookBehind, atomic
    /// The assertion or atomic group has matched.
    case close
    /// Remember the position in register `a`; leave the loop where it has not moved since.
    case enter, leaveUnlessMoved
    /// Zero-width tests; `a` is the set of newlines or of word characters.
    case lineStart, lineEnd, textStart, textEnd, textEndOrNewline, wordBoundary, notWordBoundary
  }

  var instructions: [Instruction] = []
  /// Where each top-level alternative begins.
  var entries: [Int] = []
  /// By class: bit i set where alternative i could begin with it.
  var candidates: [UInt64] = []
  /// By set × 256 + class: 1 for members.
  var members: [UInt8] = []
  var registerCount = 0
  var classes: ClassMap

  static let instructionLimit = 1 << 16
}
