import SystemPackage
import Synchronization

/// What a decoder makes, read at any place by any thread, though the decoder only runs forwards.
///
/// The last 16 MiB are kept, so that headers may be read to and fro and threads may run ahead of each other. Going back
/// further means expanding again from the decoder's last beginning; who reads in the file's order never does. A file
/// whose order is so unlucky that it would be expanded a hundred times over is refused with that reason.
final class ExpandedBytes: Sendable {
  private static let windowByteCount = 1 << 18
  private static let windowCount = 64
  /// Bytes that may be expanded whatever the file's size.
  private static let freeByteCount = 1 << 32

  private struct Window {
    /// In the expanded bytes; it ends where the next multiple of the window's size is, or with the file.
    var start: Int
    var bytes: [UInt8]
    var lastUse: Int
  }

  private struct State {
    var decoder: any ForwardDecoder
    /// By the number of the window; those that begin in the middle are what followed a fresh start.
    var windows: [Int: Window] = [:]
    var useCount = 0
    var expandedByteCount = 0
    /// What the decoder made beyond the last window.
    var rest: [UInt8] = []
    /// Damage stays: the decoder is of no use behind it.
    var failure: FileError?
  }

  private let path: FilePath
  let byteCount: Int
  private let state: Mutex<State>

  init(_ decoder: any ForwardDecoder, byteCount: Int, path: FilePath) {
    self.path = path
    self.byteCount = byteCount
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

  private func window(at offset: Int) throws(FileError) -> Window {
    let number = offset / Self.windowByteCount
    return try state.withLock { (state) throws(FileError) in
      state.useCount += 1
      if let window = state.windows[number], window.start <= offset {
        state.windows[number]?.lastUse = state.useCount
        return window
      }
      if let failure = state.failure { throw failure }
      let end = state.decoder.position
      var start = end - state.rest.count
      if offset < start || offset > end { state.decoder.approach(offset) }
      if state.decoder.position != end {
        state.rest = []
        start = state.decoder.position
      }
      while true {
        let window: Window
        do throws(FileError) { window = try makeWindow(from: start, &state) } catch {
          state.failure = error
          throw error
        }
        keep(window, &state)
        if start + window.bytes.count > offset { return window }
        start += window.bytes.count
      }
    }
  }

  /// Expands up to the window's end.
  private func makeWindow(from start: Int, _ state: inout State) throws(FileError) -> Window {
    let end = min((start / Self.windowByteCount + 1) * Self.windowByteCount, byteCount)
    var bytes = state.rest
    bytes.reserveCapacity(Self.windowByteCount)
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
    return Window(start: start, bytes: bytes, lastUse: state.useCount)
  }

  private func keep(_ window: Window, _ state: inout State) {
    let number = window.start / Self.windowByteCount
    if let held = state.windows[number], held.start <= window.start { return }
    if state.windows.count >= Self.windowCount, state.windows[number] == nil,
      let oldest = state.windows.min(by: { $0.value.lastUse < $1.value.lastUse })
    {
      state.windows[oldest.key] = nil
    }
    state.windows[number] = window
  }
}
