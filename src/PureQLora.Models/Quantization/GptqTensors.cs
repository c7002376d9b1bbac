using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>The tensors of one linear layer as a GPTQ checkpoint stores them.</summary>
public sealed record GptqTensors
{
    /// <summary>Bits of a code: 2, 3, 4 or 8.</summary>
    public required int Bits { get; init; }

    /// <summary>Columns that share a scale; −1: one group for each row.</summary>
    public required int GroupSize { get; init; }

    /// <summary>How zero points are stored.</summary>
    public required GptqFormat Format { get; init; }

    /// <summary>Rows of W.</summary>
    public required int OutFeatures { get; init; }

    /// <summary>Columns of W.</summary>
    public required int InFeatures { get; init; }

    /// <summary><c>qweight</c>. [in · bits / 32, out]</summary>
    public required int[] Weights { get; init; }

    /// <summary><c>qzeros</c>. [groups, out · bits / 32]</summary>
    public required int[] Zeros { get; init; }

    /// <summary><c>scales</c>. [groups, out]</summary>
    public required Half[] Scales { get; init; }

    /// <summary><c>g_idx</c>, the group of each column; null means column / group size. [in]</summary>
    public int[]? GroupIndex { get; init; }

    /// <summary>Packs a quantised matrix.</summary>
    /// <param name="matrix">Scales that are not float16 values yet are rounded.</param>
    /// <param name="format">How to store zero points.</param>
    /// <param name="layer">The layer's name, for error messages.</param>
    /// <exception cref="UserErrorException">A scale is beyond float16.</exception>
    public static GptqTensors FromMatrix(QuantizedMatrix matrix, GptqFormat format, string layer)
    {
        byte[] codes = new byte[checked(matrix.OutDim * matrix.InDim)];
        byte[] zeros = new byte[checked(matrix.OutDim * matrix.Groups)];
        var scales = new Half[zeros.Length];
        for (int row = 0; row < matrix.OutDim; row++)
        {
            matrix.CopyCodes(row, codes.AsSpan(row * matrix.InDim, matrix.InDim));
            for (int group = 0; group < matrix.Groups; group++)
            {
                var scale = (Half)matrix.Scale(row, group);
                RequireFinite(scale, layer);
                scales[(group * matrix.OutDim) + row] = scale;
                zeros[(row * matrix.Groups) + group] = (byte)matrix.Zero(row, group);
            }
        }

        return new GptqTensors
        {
            Bits = matrix.Bits,
            GroupSize = matrix.GroupSize,
            Format = format,
            OutFeatures = matrix.OutDim,
            InFeatures = matrix.InDim,
            Weights = GptqPacking.PackWeights(codes, matrix.OutDim, matrix.InDim, matrix.Bits),
            Zeros = GptqPacking.PackZeros(zeros, matrix.OutDim, matrix.Groups, matrix.Bits, format),
            Scales = scales,
            GroupIndex = [.. Enumerable.Range(0, matrix.InDim).Select(matrix.GroupOf)],
        };
    }

    /// <summary>Unpacks the tensors of a stranger's checkpoint, checking each.</summary>
    /// <param name="layer">The layer's name, for error messages.</param>
    /// <exception cref="UserErrorException">Sizes, scales or group indices do not fit together.</exception>
    public QuantizedMatrix ToMatrix(string layer)
    {
        var options = new GptqOptions { Bits = Bits, GroupSize = GroupSize };
        options.Validate();
        byte[] codes = GptqPacking.UnpackWeights(Weights, OutFeatures, InFeatures, Bits, layer);
        int groups = options.GroupCount(InFeatures);
        byte[] zeros = GptqPacking.UnpackZeros(Zeros, OutFeatures, groups, Bits, Format, layer);
        RequireGroupIndex(groups, layer);
        if (Scales.Length != (long)groups * OutFeatures)
        {
            throw new UserErrorException(
                $"scales of {layer} holds {Scales.Length} values, {groups} groups of {OutFeatures} rows ask for {(long)groups * OutFeatures}; the group size in the checkpoint's settings is wrong.");
        }

        var scales = new float[Scales.Length];
        for (int group = 0; group < groups; group++)
        {
            for (int row = 0; row < OutFeatures; row++)
            {
                Half scale = Scales[(group * OutFeatures) + row];
                RequireFinite(scale, layer);
                scales[(row * groups) + group] = (float)scale;
            }
        }

        return QuantizedMatrix.FromCodes(OutFeatures, InFeatures, Bits, GroupSize, codes, scales, zeros, GroupIndex);
    }

    private void RequireGroupIndex(int groups, string layer)
    {
        if (GroupIndex is null)
        {
            return;
        }

        if (GroupIndex.Length != InFeatures)
        {
            throw new UserErrorException(
                $"g_idx of {layer} holds {GroupIndex.Length} values, its {InFeatures} input features ask for one each; the checkpoint is damaged, fetch it again.");
        }

        for (int column = 0; column < GroupIndex.Length; column++)
        {
            if (GroupIndex[column] < 0 || GroupIndex[column] >= groups)
            {
                throw new UserErrorException(
                    $"g_idx of {layer} names group {GroupIndex[column]} for column {column}, allowed 0 to {groups - 1}; the checkpoint is damaged, fetch it again.");
            }
        }
    }

    private static void RequireFinite(Half scale, string layer)
    {
        if (!Half.IsFinite(scale))
        {
            throw new UserErrorException(
                $"A scale of {layer} is {(float)scale} as float16, allowed are finite values up to {(float)Half.MaxValue}; the weights or the checkpoint are damaged.");
        }
    }
}
