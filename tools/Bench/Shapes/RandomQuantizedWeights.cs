using System.Runtime.InteropServices;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>
/// Random 4-bit weights for every product, the head included, made as codes: the dense model never exists. Their deviation is about
/// that of trained models, so that activations stay within ordinary bounds.
/// </summary>
/// <param name="config">Gives the shapes.</param>
/// <param name="groupSize">Inputs that share a scale; −1 for one group a row.</param>
/// <param name="seed">Chooses the weights.</param>
internal sealed class RandomQuantizedWeights(LlamaConfig config, int groupSize, ulong seed) : IWeightSource
{
    private const int Bits = 4;

    /// <summary>Standard deviation of the weights.</summary>
    private const float Deviation = 0.02f;

    /// <summary>Standard deviation of a uniform code of 0 … 15.</summary>
    private const float CodeDeviation = 4.61f;

    private readonly RandomState _random = new(seed);
    private readonly IReadOnlyDictionary<string, (int Out, int In)> _linears = LlamaTensorNames.LinearLayers(config);

    /// <inheritdoc/>
    public Tensor Tensor(string name)
    {
        Tensor table = Core.Tensor.Create(LlamaTensorNames.Tensors(config)[name], DataType.BFloat16);
        ulong key = _random.NextKey();
        BFloat16[] row = new BFloat16[table.Shape.Columns];
        for (long first = 0; first < table.Shape.Count; first += row.Length)
        {
            for (int i = 0; i < row.Length; i++)
            {
                row[i] = (BFloat16)(2 * Deviation * ((2 * RandomState.Uniform(key, first + i)) - 1));
            }

            table.Storage.Write(first * sizeof(ushort), MemoryMarshal.AsBytes<BFloat16>(row));
        }

        return table;
    }

    /// <inheritdoc/>
    public Tensor Vector(string name)
    {
        Tensor vector = Core.Tensor.Create(LlamaTensorNames.Tensors(config)[name]);
        vector.Floats.Fill(name.EndsWith(".bias", StringComparison.Ordinal) ? 0f : 1f);
        return vector;
    }

    /// <inheritdoc/>
    public WeightMatrix Weight(string module)
    {
        (int outDim, int inDim) = module == "lm_head" ? (config.VocabularySize, config.HiddenSize) : _linears[module];
        return new WeightMatrix(Matrix(outDim, inDim, groupSize, _random.NextKey()));
    }

    /// <summary>A matrix of random codes.</summary>
    /// <param name="outDim">Rows.</param>
    /// <param name="inDim">Columns.</param>
    /// <param name="groupSize">Inputs that share a scale; −1 for one group a row.</param>
    /// <param name="key">Chooses the codes.</param>
    public static QuantizedMatrix Matrix(int outDim, int inDim, int groupSize, ulong key)
    {
        int group = groupSize <= 0 || groupSize > inDim ? inDim : groupSize;
        int groups = (inDim + group - 1) / group;
        int[] words = new int[((inDim * Bits) + 31) / 32 * outDim];        // [words of a row, outDim]
        for (int i = 0; i < words.Length; i++)
        {
            words[i] = (int)RandomState.Bits(key, i);
        }

        float[] scales = new float[outDim * groups];
        byte[] zeros = new byte[scales.Length];
        for (int i = 0; i < scales.Length; i++)
        {
            scales[i] = Deviation / CodeDeviation * (0.5f + RandomState.Uniform(key, ~(long)i));
            zeros[i] = (byte)(7 + (words[i % words.Length] & 1));
        }

        return QuantizedMatrix.FromWords(outDim, inDim, Bits, groupSize, words, scales, zeros);
    }
}
