import Synchronization

/// A bar with rate and time left on standard error, drawn ten times a second when that is a terminal, silent otherwise.
final class Progress: Sendable {
  private struct State {
    var done = 0
    var lastDrawn = 0.0
    var isFinished = false
  }

  private let label: String
  private let total: Int
  private let unit: Unit
  private let start = Clock.now()
  private let state = Mutex(State())
  private let isShown: Bool

  enum Unit { case bytes, windows, tokens, blocks, texts, thousandths }

  init(_ label: String, total: Int, unit: Unit, isShown: Bool = true) {
    self.label = label
    self.total = total
    self.unit = unit
    self.isShown = isShown && Terminal.errorIsTerminal && total > 0
  }

  deinit { finish() }

  /// Adds to what is done. From any thread.
  func advance(_ amount: Int) {
    guard isShown else { return }
    let line = state.withLock { state -> String? in
      state.done += amount
      let now = Clock.now()
      guard !state.isFinished, now - state.lastDrawn >= 0.1 else { return nil }
      state.lastDrawn = now
      return self.line(done: state.done, elapsed: now - start)
    }
    if let line { Terminal.standardError("\r\u{1B}[K" + line) }
  }

  /// Removes the bar.
  func finish() {
    guard isShown else { return }
    let wasDrawn = state.withLock { state -> Bool in
      defer { state.isFinished = true }
      return !state.isFinished && state.lastDrawn > 0
    }
    if wasDrawn { Terminal.standardError("\r\u{1B}[K") }
  }

  private func line(done: Int, elapsed: Double) -> String {
    let share = min(1, Double(done) / Double(total))
    let rate = Double(done) / max(elapsed, 1e-3)
    let left = Double(total - done) / max(rate, 1e-9)
    let filled = Int(share * 24)
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 24 - filled)
    let speed =
      switch unit {
      case .bytes: "\(Format.bytes(Int(rate)))/s"
      case .windows: "\(Format.fixed(rate, 2)) windows/s"
      case .texts: "\(Format.fixed(rate, 1)) texts/s"
      case .blocks: "\(Format.fixed(rate, 2)) blocks/s"
      case .tokens: "\(Format.fixed(rate, 1)) tokens/s"
      case .thousandths: "\(Format.fixed(rate / 10, 1))%/s"
      }
    return "\(label) \(bar) \(Int(share * 100))%  \(speed)  \(Format.duration(left)) left"
  }
}
