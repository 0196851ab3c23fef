import Synchronization

/// What lives as long as the process: to free a vocabulary string by string takes longer than to end with it.
enum UntilExit {
  private static let kept = Mutex<[any Sendable]>([])

  static func keep(_ value: some Sendable) { kept.withLock { $0.append(value) } }
}
