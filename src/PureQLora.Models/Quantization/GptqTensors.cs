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
    /// <param name="result">Scales that are not float16 values yet are rounded.</param>
    /// <param name="format">How to store zero points.</param>
    /// <param name="layer">The layer's name, for error messages.</param>
    /// <exception cref="UserErrorException">A scale is beyond float16.</exception>
    public static GptqTensors FromResult(QuantizationResult result, GptqFormat format, string layer)
    {
        int groups = result.Groups;
        var scales = new Half[result.Scales.Length];
        for (int row = 0; row < result.Rows; row++)
        {
            for (int group = 0; group < groups; group++)
            {
                Half scale = (Half)result.Scales[(row * groups) + group];
                RequireFinite(scale, layer);
                scales[(group * result.Rows) + row] = scale;
            }
        }

        return new GptqTensors
        {
            Bits = result.Options.Bits,
            GroupSize = result.Options.GroupSize,
            Format = format,
            OutFeatures = result.Rows,
            InFeatures = result.Columns,
            Weights = GptqPacking.PackWeights(result.Codes, result.Rows, result.Columns, result.Options.Bits),
            Zeros = GptqPacking.PackZeros(result.Zeros, result.Rows, groups, result.Options.Bits, format),
            Scales = scales,
            GroupIndex = [.. Enumerable.Range(0, result.Columns).Select(result.GroupOf)],
        };
    }

    /// <summary>Unpacks the tensors of a stranger's checkpoint, checking each.</summary>
    /// <param name="layer">The layer's name, for error messages.</param>
    /// <exception cref="UserErrorException">Sizes, scales or group indices do not fit together.</exception>
    public QuantizationResult ToResult(string layer)
    {
        var options = new GptqOptions { Bits = Bits, GroupSize = GroupSize };
        options.Validate();
        byte[] codes = GptqPacking.UnpackWeights(Weights, OutFeatures, InFeatures, Bits, layer);
        int groups = options.GroupCount(InFeatures);
        byte[] zeros = GptqPacking.UnpackZeros(Zeros, OutFeatures, groups, Bits, Format, layer);
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

        return new QuantizationResult
        {
            Rows = OutFeatures,
            Columns = InFeatures,
            Options = options,
            Codes = codes,
            Scales = scales,
            Zeros = zeros,
            GroupIndex = ScatteredGroups(options.GroupLength(InFeatures), groups, layer),
        };
    }

    /// <summary>g_idx, or null where it says nothing but column / group length.</summary>
    private int[]? ScatteredGroups(int groupLength, int groups, string layer)
    {
        if (GroupIndex is null)
        {
            return null;
        }

        if (GroupIndex.Length != InFeatures)
        {
            throw new UserErrorException(
                $"g_idx of {layer} holds {GroupIndex.Length} values, its {InFeatures} input features ask for one each; the checkpoint is damaged, fetch it again.");
        }

        bool scattered = false;
        for (int column = 0; column < GroupIndex.Length; column++)
        {
            int group = GroupIndex[column];
            if (group < 0 || group >= groups)
            {
                throw new UserErrorException(
                    $"g_idx of {layer} names group {group} for column {column}, allowed 0 to {groups - 1}; the checkpoint is damaged, fetch it again.");
            }

            scattered |= group != column / groupLength;
        }

        return scattered ? GroupIndex : null;
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
