import Catalog
import Footprint
import IR
import Testing

@Suite struct ConvolutionalNetworkTests {
  @Test("VGG-16: the textbook's rows, and what they really add up to")
  func vgg16() throws {
    let network = try #require(try ConvolutionalNetwork.named("VGG-16"))
    #expect(network.parameterCount == 138_357_544)
    #expect(network.weightCount == 138_344_128)
    #expect(network.activationCount == 15_237_608)
    #expect(network.layers.map(\.activationCount).prefix(4) == [150_528, 3_211_264, 3_211_264, 802_816])
    let dense = try #require(network.layers.first { $0.name == "fc" })
    #expect(dense.weightCount == 102_760_448 && dense.weightFormula == "7 × 7 × 512 × 4096")
    #expect(network.layers[1].weightFormula == "(3 × 3 × 3) × 64" && network.layers[1].weightCount == 1728)
    #expect(network.note.contains("24M"))
  }

  @Test(
    "bytes: × batch, × 2 for the backward pass, copies of the optimizer",
    arguments: [
      (1, nil as TrainingRequest.Optimizer?, 60_950_432, 553_430_176), (32, nil, 1_950_413_824, 553_430_176),
      (32, .sgd, 3_900_827_648, 2 * 553_430_176), (32, .momentum, 3_900_827_648, 3 * 553_430_176),
      (1, .adam, 121_900_864, 4 * 553_430_176),
    ])
  func bytes(batch: Int, optimizer: TrainingRequest.Optimizer?, activations: Int, parameters: Int) throws {
    let network = try #require(try ConvolutionalNetwork.named("vgg16"))
    let footprint = try network.footprint(batch: batch, optimizer: optimizer)
    #expect(footprint.computeBytes == activations)
    #expect(footprint.totalBytes - footprint.computeBytes == parameters)
  }

  @Test(
    "released models by name, in every profile",
    arguments: ["llama-2-70b", "gpt3-175b", "bert-large", "t5-11b", "deepseek-v3", "pangu-sigma"])
  func byName(name: String) throws {
    let checkpoint = try #require(try ReleasedModels(Catalog()).model(named: name))
    for profile in try RuntimeProfile.all() {
      var request = FootprintRequest(context: 512, profile: profile)
      let footprint = try Footprint(of: ModelShape(checkpoint), for: request)
      #expect(footprint.weightsBytes > 0)
      #expect((footprint.kvCacheBytes == 0) == (name == "bert-large"))
      request.training = TrainingRequest()
      #expect(try Footprint(of: ModelShape(checkpoint), for: request).totalBytes > footprint.weightsBytes)
    }
  }
}
