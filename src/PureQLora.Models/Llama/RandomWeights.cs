using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Weights to train from nothing: matrices normal with a given deviation, norms 1, biases 0.</summary>
/// <param name="config">Gives the shapes.</param>
/// <param name="seed">Chooses the weights.</param>
/// <param name="deviation">Standard deviation; matrices that write into the residual stream take 1/√(2 · layers) of it.</param>
/// <remarks>Radford et al., "Language Models are Unsupervised Multitask Learners" (2019), section 2.3, for the residual factor.</remarks>
public sealed class RandomWeights(LlamaConfig config, ulong seed, float deviation = 0.02f) : IWeightSource
{
    private readonly RandomState _random = new(seed);

    /// <inheritdoc/>
    public Tensor Tensor(string name) => Normal(ShapeOf(name), deviation);

    /// <inheritdoc/>
    public Tensor Vector(string name)
    {
        Tensor vector = Core.Tensor.Create(ShapeOf(name));
        if (!name.EndsWith(".bias", StringComparison.Ordinal))
        {
            vector.Floats.Fill(1f);
        }

        return vector;
    }

    /// <inheritdoc/>
    public WeightMatrix Weight(string module)
    {
        bool residual = module.EndsWith(".o_proj", StringComparison.Ordinal) || module.EndsWith(".down_proj", StringComparison.Ordinal);
        return new WeightMatrix(Normal(ShapeOf($"{module}.weight"), residual ? deviation / MathF.Sqrt(2f * config.Layers) : deviation));
    }

    private Shape ShapeOf(string name) => LlamaTensorNames.Tensors(config)[name];

    private Tensor Normal(Shape shape, float standardDeviation)
    {
        Tensor tensor = Core.Tensor.Create(shape);
        ulong key = _random.NextKey();
        Span<float> values = tensor.Floats;
        for (int i = 0; i < values.Length; i++)
        {
            // Box–Muller; 1 − u keeps the logarithm finite.
            double radius = Math.Sqrt(-2 * Math.Log(1 - RandomState.Uniform(key, 2L * i)));
            values[i] = (float)(standardDeviation * radius * Math.Cos(2 * Math.PI * RandomState.Uniform(key, (2L * i) + 1)));
        }

        return tensor;
    }
}
