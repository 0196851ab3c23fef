import Bytes
public import IR

/// Where every byte of a safetensors checkpoint will go: one file, or shards and their index.
///
/// Within a file, wider element types come first (as the reference implementation writes them, so that every tensor is
/// aligned to its elements), otherwise tensors keep the given order. Headers are padded with spaces so that data begins at
/// a multiple of 8.
public struct SafetensorsLayout: Sendable {
  public let files: [FileLayout]
  /// `model.safetensors.index.json`, when there is more than one file.
  public let index: [UInt8]?

  public static let indexName = "model.safetensors.index.json"

  /// - Parameter maximumShardBytes: of tensor data in one file; a single larger tensor gets a file of its own. Nil: one file.
  public init(
    tensors: [TensorRef], metadata: Metadata, maximumShardBytes: Int? = nil
  ) throws(SafetensorsError) {
    var names: Set<ByteString> = []
    for tensor in tensors {
      let name = tensor.name
      guard tensor.format.safetensorsName != nil else { throw .cannotStore(tensor: name, format: tensor.format) }
      guard name != "__metadata__" else { throw .invalidName(tensor: name, reason: "reserved") }
      guard Self.isText(name) else { throw .invalidName(tensor: name, reason: "not UTF-8") }
      guard names.insert(name).inserted else { throw .invalidName(tensor: name, reason: "given twice") }
    }
    let text = try Self.object(of: metadata)
    let shards = Self.split(tensors, maximumShardBytes: maximumShardBytes)
    let shardNames = shards.indices.map { Self.name(shard: $0, of: shards.count) }
    files = zip(shardNames, shards).map { Self.file(name: $0, tensors: $1, metadata: text) }
    index = shards.count > 1 ? Self.index(of: zip(shardNames, shards).map { ($0, $1) }) : nil
  }

  private static func name(shard: Int, of count: Int) -> String {
    count == 1 ? "model.safetensors" : "model-\(padded(shard + 1))-of-\(padded(count)).safetensors"
  }

  private static func padded(_ number: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
  }

  private static func isText(_ string: ByteString) -> Bool { (try? UTF8Span(validating: string.bytes.span)) != nil }

  private static func object(of metadata: Metadata) throws(SafetensorsError) -> JSONObject {
    var result = JSONObject()
    for entry in metadata.entries {
      guard let value = entry.value.string, isText(entry.key), isText(value) else {
        throw .metadataNotText(key: entry.key)
      }
      result[entry.key] = .string(value)
    }
    return result
  }

  private static func split(_ tensors: [TensorRef], maximumShardBytes: Int?) -> [[TensorRef]] {
    guard let maximumShardBytes else { return [tensors] }
    var shards: [[TensorRef]] = [[]]
    var byteCount = 0
    for tensor in tensors {
      if byteCount > 0, tensor.byteCount > maximumShardBytes - byteCount {
        shards.append([])
        byteCount = 0
      }
      shards[shards.count - 1].append(tensor)
      byteCount += tensor.byteCount
    }
    return shards
  }

  private static func file(name: String, tensors: [TensorRef], metadata: JSONObject) -> FileLayout {
    // Sorted by width, which keeps the order within one; then by place, because `sort` need not be stable.
    let ordered = tensors.enumerated()
      .sorted { (-$0.element.format.bytesPerBlock, $0.offset) < (-$1.element.format.bytesPerBlock, $1.offset) }
      .map(\.element)
    var header = JSONObject()
    if metadata.count > 0 { header["__metadata__"] = .object(metadata) }
    var end = 0
    var offsets: [Int] = []
    for tensor in ordered {
      offsets.append(end)
      end += tensor.byteCount
      header[tensor.name] = .object(
        JSONObject([
          "dtype": .text(tensor.format.safetensorsName ?? ""),
          "shape": .array(tensor.shape.dimensions.map(JSONValue.integer)),
          "data_offsets": .array([.integer(end - tensor.byteCount), .integer(end)]),
        ]))
    }
    var json = JSONValue.object(header).serialized()
    json += repeatElement(UInt8(ascii: " "), count: (8 - json.count % 8) % 8)
    var bytes = ByteWriter()
    bytes.append(UInt64(json.count))
    bytes.append(bytes: json)
    return FileLayout(
      name: name, header: bytes.bytes,
      placements: zip(ordered, offsets).map { .init(tensor: $0, offset: bytes.count + $1) },
      byteCount: bytes.count + end)
  }

  private static func index(of shards: [(name: String, tensors: [TensorRef])]) -> [UInt8] {
    var places = JSONObject()
    var total = 0
    for (name, tensors) in shards {
      for tensor in tensors {
        places[tensor.name] = .text(name)
        total += tensor.byteCount
      }
    }
    let size = JSONObject(["total_size": .integer(total)])
    return JSONValue.object(JSONObject(["metadata": .object(size), "weight_map": .object(places)])).serialized(
      pretty: true) + [UInt8(ascii: "\n")]
  }
}
