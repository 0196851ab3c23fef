import SystemPackage
import Synchronization

/// The last pieces that decoders made, 16 MiB of them, whatever the number of files that share it.
public final class ExpandedCache: Sendable {
  static let windowByteCount = 1 << 18
  private static let windowCount = 64

  struct Window: Sendable {
    /// In the expanded bytes; it ends where the next multiple of the window's size is, or with the file.
    let start: Int
    let bytes: [UInt8]
  }

  private struct Key: Hashable {
    let owner: Int
    let number: Int
  }

  private struct State {
    var ownerCount = 0
    var useCount = 0
    var windows: [Key: (window: Window, lastUse: Int)] = [:]
  }

  private let state = Mutex(State())

  public init() {}

  func register() -> Int {
    state.withLock {
      $0.ownerCount += 1
      return $0.ownerCount
    }
  }

  /// The window that holds the byte at `offset`, if it is still here.
  func window(of owner: Int, at offset: Int) -> Window? {
    state.withLock { state in
      let key = Key(owner: owner, number: offset / Self.windowByteCount)
      // One that begins in its middle is what followed a fresh start.
      guard let window = state.windows[key]?.window, window.start <= offset else { return nil }
      state.useCount += 1
      state.windows[key]?.lastUse = state.useCount
      return window
    }
  }

  func keep(_ window: Window, of owner: Int) {
    state.withLock { state in
      let key = Key(owner: owner, number: window.start / Self.windowByteCount)
      if let held = state.windows[key]?.window, held.start <= window.start { return }
      if state.windows.count >= Self.windowCount, state.windows[key] == nil,
        let oldest = state.windows.min(by: { $0.value.lastUse < $1.value.lastUse })
      {
        state.windows[oldest.key] = nil
      }
      state.useCount += 1
      state.windows[key] = (window, state.useCount)
    }
  }
}

/// What a decoder makes, read at any place by any thread, though the decoder only runs forwards.
///
/// The last pieces are kept, so that headers may be read to and fro and threads may run ahead of each other. Going back
/// further means expanding again from the decoder's last beginning; who reads in the file's order never does. A file
/// whose order is so unlucky that it would be expanded a hundred times over is refused with that reason.
final class ExpandedBytes: Sendable {
  /// Bytes that may be expanded whatever the file's size.
  private static let freeByteCount = 1 << 32

  private struct State {
    var decoder: any ForwardDecoder
    var expandedByteCount = 0
    /// What the decoder made beyond the last window.
    var rest: [UInt8] = []
    /// Damage stays: the decoder is of no use behind it.
    var failure: FileError?
  }

  private let path: FilePath
  let byteCount: Int
  private let cache: ExpandedCache
  private let owner: Int
  private let state: Mutex<State>

  init(_ decoder: any ForwardDecoder, byteCount: Int, path: FilePath, cache: ExpandedCache) {
    self.path = path
    self.byteCount = byteCount
    self.cache = cache
    owner = cache.register()
    state = Mutex(State(decoder: decoder))
  }

  /// The range is known to lie inside.
  func read(at offset: Int, into bytes: inout MutableRawSpan) throws(FileError) {
    let wanted = bytes.byteCount
    var done = 0
    while done < wanted {
      let window = try window(at: offset + done)
      let from = offset + done - window.start
      let count = min(window.bytes.count - from, wanted - done)
      bytes.copy(from: window.bytes.rawSpan.extracting(from..<from + count), at: done)
      done += count
    }
  }

  private func window(at offset: Int) throws(FileError) -> ExpandedCache.Window {
    if let window = cache.window(of: owner, at: offset) { return window }
    return try makeWindow(at: offset)
  }

  private func makeWindow(at offset: Int) throws(FileError) -> ExpandedCache.Window {
    try state.withLock { (state) throws(FileError) in
      // Whoever held the lock may have made it.
      if let window = cache.window(of: owner, at: offset) { return window }
      if let failure = state.failure { throw failure }
      let end = state.decoder.position
      var start = end - state.rest.count
      if offset < start || offset > end { state.decoder.approach(offset) }
      if state.decoder.position != end {
        state.rest = []
        start = state.decoder.position
      }
      while true {
        let window: ExpandedCache.Window
        do throws(FileError) { window = try nextWindow(from: start, &state) } catch {
          state.failure = error
          throw error
        }
        cache.keep(window, of: owner)
        start += window.bytes.count
        if start == byteCount {
          // Most files are read once: what the decoder holds is given back.
          state.rest = []
          state.decoder.rewind()
        }
        if start > offset { return window }
      }
    }
  }

  /// Expands up to the window's end.
  private func nextWindow(from start: Int, _ state: inout State) throws(FileError) -> ExpandedCache.Window {
    let size = ExpandedCache.windowByteCount
    let end = min((start / size + 1) * size, byteCount)
    var bytes = state.rest
    bytes.reserveCapacity(size)
    while bytes.count < end - start {
      let more = try state.decoder.next()
      guard !more.isEmpty else {
        throw .compression(path: path, .damaged(reason: "it ends early", offset: start + bytes.count))
      }
      state.expandedByteCount += more.count
      bytes += more
    }
    let (limit, overflow) = byteCount.multipliedReportingOverflow(by: 100)
    guard overflow || state.expandedByteCount <= max(limit, Self.freeByteCount) else {
      throw .compression(path: path, .unordered)
    }
    state.rest = Array(bytes[(end - start)...])
    bytes.removeLast(bytes.count - (end - start))
    return .init(start: start, bytes: bytes)
  }
}
