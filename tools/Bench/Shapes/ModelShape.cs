using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>Dimensions of well-known models by name; the weights are random, so that nothing is fetched.</summary>
internal static class ModelShape
{
    private static readonly OrderedDictionary<string, LlamaConfig> Shapes = new(StringComparer.Ordinal)
    {
        ["tiny"] = Create(vocabulary: 512, hidden: 128, intermediate: 256, layers: 2, heads: 4, keyValueHeads: 2, positions: 4096),
        ["smollm2-135m"] = Create(vocabulary: 49_152, hidden: 576, intermediate: 1536, layers: 30, heads: 9, keyValueHeads: 3, positions: 8192),
        ["smollm2-360m"] = Create(vocabulary: 49_152, hidden: 960, intermediate: 2560, layers: 32, heads: 15, keyValueHeads: 5, positions: 8192),
        ["tinyllama"] = Create(vocabulary: 32_000, hidden: 2048, intermediate: 5632, layers: 22, heads: 32, keyValueHeads: 4, positions: 4096),
        ["llama3.2-1b"] = Create(vocabulary: 128_256, hidden: 2048, intermediate: 8192, layers: 16, heads: 32, keyValueHeads: 8, positions: 131_072),
        ["llama2-7b"] = Create(vocabulary: 32_000, hidden: 4096, intermediate: 11_008, layers: 32, heads: 32, keyValueHeads: 32, positions: 4096),
    };

    /// <summary>The shape of that name.</summary>
    /// <exception cref="UserErrorException">There is none.</exception>
    public static LlamaConfig Find(string name) => Shapes.TryGetValue(name, out LlamaConfig? config)
        ? config
        : throw new UserErrorException($"--shape is {name}, allowed {string.Join(", ", Shapes.Keys)}.");

    /// <summary>Weights that take part in a product for every token: the linear layers and the head, not the embedding.</summary>
    public static long ProductWeights(LlamaConfig config) => BlockWeights(config) + HeadWeights(config);

    /// <summary>Weights of the linear layers of all blocks.</summary>
    public static long BlockWeights(LlamaConfig config) => LlamaTensorNames.LinearLayers(config).Values.Sum(size => (long)size.Out * size.In);

    /// <summary>Weights of the head.</summary>
    public static long HeadWeights(LlamaConfig config) => (long)config.VocabularySize * config.HiddenSize;

    private static LlamaConfig Create(int vocabulary, int hidden, int intermediate, int layers, int heads, int keyValueHeads, int positions) => new()
    {
        Family = ModelFamily.Llama,
        VocabularySize = vocabulary,
        HiddenSize = hidden,
        IntermediateSize = intermediate,
        Layers = layers,
        Heads = heads,
        KeyValueHeads = keyValueHeads,
        HeadDim = hidden / heads,
        RmsNormEpsilon = 1e-5,
        MaxPositions = positions,
        SlidingWindows = [.. Enumerable.Repeat((int?)null, layers)],
    };
}
