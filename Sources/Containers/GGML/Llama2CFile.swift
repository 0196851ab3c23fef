//  version 0   i32 dim, hidden, layers, heads, kv heads, ± vocabulary (negative: a head of its own), sequence │ F32 …
//  version 1   "24ka" (0x616B3432), i32 1, the seven (vocabulary positive), u8 shared │ zeros to 256 │ F32 …
//  version 2   the same with 2, and i32 group size │ norms F32, then each matrix: I8 …, F32 scale per group
//
//  llama2.c's export.py and run.c.

public import Bytes
public import IR
public import SystemPackage

/// A llama2.c model, under Meta's names. Version 0 has no mark: its seven numbers must give the file's length exactly.
public struct Llama2CFile: Sendable {
  public let contents: ContainerContents

  public static func recognizes(_ file: InputFile, head: [UInt8]) -> Bool {
    guard let header = Llama2CHeader(head) else { return false }
    return header.version > 0 || header.byteCount == file.byteCount
  }

  public init(_ path: FilePath, limits: Limits = Limits()) throws(ContainerError) {
    let file: InputFile
    let head: [UInt8]
    do throws(FileError) {
      file = try InputFile(path)
      head = try file.read(at: 0, count: min(256, file.byteCount))
    } catch { throw .file(error) }
    let place = ContainerError.Place(path, "llama2.c")
    guard let header = Llama2CHeader(head) else { throw .malformed(place, reason: "impossible dimensions") }
    guard header.byteCount == file.byteCount else {
      throw .malformed(
        place,
        reason: "its dimensions need \(header.byteCount.map(String.init) ?? "too many") bytes, not \(file.byteCount)")
    }
    var tensors: [TensorRef] = []
    var offset = header.dataOffset
    for part in header.parts ?? [] {
      let name = ByteString(part.name)
      let count = part.rows * part.columns
      guard let shape = Shape(part.isVector ? [part.columns] : [part.rows, part.columns]) else {
        throw .malformed(place, reason: "impossible dimensions")
      }
      let source: any TensorSource
      if part.isQuantized {
        source = DecodedSource(
          Llama2CRows(
            file: file, offset: offset, scales: offset + count, columns: part.columns, group: header.groupSize))
        offset += count + count / header.groupSize * 4
      } else {
        source = FileTensorSource(file: file, offset: offset, rowByteCount: part.columns * 4)
        offset += count * 4
      }
      tensors.append(TensorRef(name: name, shape: shape, format: .f32, source: source))
    }
    contents = ContainerContents(tensors: tensors, metadata: header.metadata, fileByteCount: file.byteCount)
  }
}

struct Llama2CHeader {
  let version: Int
  let numbers: [Int]
  let isShared: Bool
  let groupSize: Int

  struct Part {
    let name: String
    let rows: Int
    let columns: Int
    var isVector = false
    var isQuantized = false
  }

  /// Nil when the numbers are impossible.
  init?(_ head: [UInt8]) {
    guard head.count >= 28 else { return nil }
    func numbers(at offset: Int) -> [Int] { (0..<7).map { Int(head.integer(at: offset + $0 * 4, as: Int32.self)) } }
    var found: [Int]
    if head.integer(at: 0, as: UInt32.self) == 0x616B_3432 {
      guard head.count == 256 || head.count > 256 else { return nil }
      version = Int(head.integer(at: 4, as: Int32.self))
      found = numbers(at: 8)
      isShared = head[36] == 1
      groupSize = version == 2 ? Int(head.integer(at: 37, as: Int32.self)) : 0
      guard version == 1 || version == 2 && groupSize > 0 else { return nil }
    } else {
      version = 0
      found = numbers(at: 0)
      isShared = found[5] > 0
      found[5] = abs(found[5])
      groupSize = 0
    }
    guard found.allSatisfy({ (1...1 << 24).contains($0) }), found[0] % found[3] == 0, found[3] % found[4] == 0,
      found[0] / found[3] % 2 == 0, found[2] <= 1024
    else { return nil }
    self.numbers = found
    if groupSize > 0, found[0] % groupSize != 0 || found[1] % groupSize != 0 { return nil }
  }

  var dataOffset: Int { version == 0 ? 28 : 256 }

  var metadata: Metadata {
    var result = Metadata()
    let names = ["dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "max_seq_len"]
    for (name, value) in zip(names, numbers) { result[ByteString("llama2.c." + name)] = .int32(Int32(value)) }
    return result
  }

  /// Nil when they do not fit an integer.
  var byteCount: Int? {
    guard let parts else { return nil }
    var total = dataOffset
    for part in parts {
      guard let count = Int.product(of: [part.rows, part.columns]),
        let bytes = part.isQuantized ? count / groupSize * 4 + count : Int.product(of: [count, 4])
      else { return nil }
      let (sum, overflow) = total.addingReportingOverflow(bytes)
      if overflow { return nil }
      total = sum
    }
    return total
  }

  var parts: [Part]? {
    let (width, hidden, layers, heads) = (numbers[0], numbers[1], numbers[2], numbers[3])
    let (keyHeads, vocabulary, length) = (numbers[4], numbers[5], numbers[6])
    let keys = width / heads * keyHeads
    let embedding = Part(name: "tok_embeddings.weight", rows: vocabulary, columns: width)
    let head = Part(name: "output.weight", rows: vocabulary, columns: width)
    func matrices(_ name: String, _ rows: Int, _ columns: Int) -> [Part] {
      (0..<layers).map { Part(name: "layers.\($0).\(name).weight", rows: rows, columns: columns) }
    }
    func norms(_ name: String) -> [Part] {
      (0..<layers).map { Part(name: "layers.\($0).\(name).weight", rows: 1, columns: width, isVector: true) }
    }
    let attention =
      matrices("attention.wq", width, width) + matrices("attention.wk", keys, width)
      + matrices("attention.wv", keys, width) + matrices("attention.wo", width, width)
    let feedForward =
      matrices("feed_forward.w1", hidden, width) + matrices("feed_forward.w2", width, hidden)
      + matrices("feed_forward.w3", hidden, width)
    let last = Part(name: "norm.weight", rows: 1, columns: width, isVector: true)
    if version == 0 {
      let rotary = ["freqs_cos", "freqs_sin"].map { Part(name: $0, rows: length, columns: width / heads / 2) }
      return [embedding] + norms("attention_norm") + attention + norms("ffn_norm") + feedForward + [last] + rotary
        + (isShared ? [] : [head])
    }
    var rest = [embedding] + attention + feedForward + (isShared ? [] : [head])
    if version == 2 { for index in rest.indices { rest[index].isQuantized = true } }
    return norms("attention_norm") + norms("ffn_norm") + [last] + rest
  }
}

/// I8 with one scale per group along the row.
struct Llama2CRows: RowDecoder {
  let file: InputFile
  let offset: Int
  let scales: Int
  let columns: Int
  let group: Int

  func decode(rows: Range<Int>, into values: inout [Float]) throws(FileError) {
    let first = rows.lowerBound * columns
    let quants = try file.read(at: offset + first, count: rows.count * columns)
    let scale = BlockFormat.f32.floats(
      try file.read(at: scales + first / group * 4, count: rows.count * columns / group * 4))
    for index in quants.indices { values[index] = Float(Int8(bitPattern: quants[index])) * scale[index / group] }
  }
}
