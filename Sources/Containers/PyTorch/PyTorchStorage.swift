import Archives
import Bytes
import IR

/// A storage as the pickle names it: what it is made of, and under which key its bytes lie.
struct PyTorchStorage {
  let key: ByteString
  /// Nil for plain bytes: then the tensor says.
  let format: BlockFormat?
  /// The class, for errors.
  let className: String
  /// In elements of `format`, or bytes.
  let elementCount: Int
  /// Elements to skip: before PyTorch 0.4 a storage could be a view of another.
  let viewOffset: Int

  var byteCount: Int? { Int.product(of: [elementCount, format?.bytesPerBlock ?? 1]) }

  /// From `('storage', class, key, location, element count[, (key, offset, element count)])`; nil if it is not that.
  init?(_ id: PickleGraph.ID, in graph: PickleGraph) {
    guard let items = graph.tuple(id), items.count == 5 || items.count == 6, graph.text(items[0]) == "storage",
      let className = graph.global(items[1]), let key = graph.text(items[2]), let count = graph.integer(items[4]),
      count >= 0
    else { return nil }
    self.key = key
    self.className = className
    elementCount = count
    guard let format = PyTorchGlobals.storageFormats[className] else {
      guard PyTorchGlobals.untypedStorages.contains(className) else { return nil }
      self.format = nil
      viewOffset = 0
      return
    }
    self.format = format
    if items.count == 6, let view = graph.tuple(items[5]) {
      guard view.count == 3, let offset = graph.integer(view[1]), offset >= 0 else { return nil }
      viewOffset = offset
    } else {
      viewOffset = 0
    }
  }
}
