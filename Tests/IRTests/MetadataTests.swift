import Bytes
import IR
import Testing

@Suite struct MetadataTests {
  @Test("entries keep their order, and their place when replaced")
  func order() {
    var metadata = Metadata()
    metadata["b"] = .uint32(1)
    metadata["a"] = .string("x")
    metadata["c"] = .bool(true)
    metadata["b"] = .uint32(2)
    #expect(metadata.keys == ["b", "a", "c"])
    #expect(metadata["b"] == .uint32(2))
    metadata["a"] = nil
    metadata["a"] = nil
    #expect(metadata.keys == ["b", "c"] && metadata["c"] == .bool(true) && metadata["a"] == nil)
    metadata["a"] = .uint8(1)
    #expect(metadata.keys == ["b", "c", "a"])
    metadata.removeAll { $0 == "c" }
    #expect(metadata.keys == ["b", "a"] && metadata["a"] == .uint8(1) && metadata["c"] == nil)
  }

  @Test("keys are bytes: canonically equal ones differ")
  func bytes() {
    var metadata = Metadata()
    metadata["é"] = .uint8(1)
    metadata["e\u{301}"] = .uint8(2)
    #expect(metadata.keys.count == 2)
  }

  @Test(
    "numbers by what they hold",
    arguments: [
      (.uint8(3), 3, 3.0), (.int64(-5), -5, -5), (.uint64(.max), nil, nil), (.float32(1.5), nil, 1.5),
      (.bool(true), nil, nil),
      (.string("3"), nil, nil), (.int8(-1), -1, -1),
    ] as [(MetadataValue, Int?, Double?)])
  func numbers(value: MetadataValue, int: Int?, double: Double?) {
    #expect(value.int == int && value.double == double)
  }

  @Test func arrays() {
    #expect(MetadataArray.uint64([1, .max]).ints == nil)
    #expect(MetadataArray.bool([true, false]).ints == [1, 0])
    #expect(MetadataArray.string(["a"]).ints == nil && MetadataArray.string(["a"]).strings == ["a"])
    #expect(MetadataArray.float64([0.5]).floats == [0.5] && MetadataArray.int8([]).count == 0)
  }
}

@Suite struct HyperparametersTests {
  @Test("typed reading: an integer is a number, a number is no integer")
  func typed() {
    var values = Hyperparameters()
    values["i"] = .integer(3)
    values["n"] = .number(2.5)
    values["b"] = .bool(true)
    values["s"] = .string("x")
    #expect(values.integer("i") == 3 && values.number("i") == 3 && values.number("n") == 2.5)
    #expect(
      values.integer("n") == nil && values.integer("b") == nil && values.bool("i") == nil && values.string("n") == nil)
    #expect(values.bool("b") == true && values.string("s") == "x" && values.integer("none") == nil)
    #expect(values.entries.map(\.name) == ["i", "n", "b", "s"])
    values["n"] = nil
    values["i"] = .integer(4)
    #expect(values.entries.map(\.name) == ["i", "b", "s"] && values.integer("i") == 4)
  }
}
