using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>A quantised weight matrix [rows = out, columns = in] and what its quantisation cost.</summary>
public sealed record QuantizationResult
{
    /// <summary>Output features.</summary>
    public required int Rows { get; init; }

    /// <summary>Input features.</summary>
    public required int Columns { get; init; }

    /// <summary>The options in effect.</summary>
    public required GptqOptions Options { get; init; }

    /// <summary>Codes in [0, 2^bits − 1]. [rows, columns]</summary>
    public required byte[] Codes { get; init; }

    /// <summary>Scales. [rows, groups]</summary>
    public required float[] Scales { get; init; }

    /// <summary>Zero points in [0, 2^bits − 1]. [rows, groups]</summary>
    public required byte[] Zeros { get; init; }

    /// <summary>The group of each column, or null where that is column / group size. [columns]</summary>
    public int[]? GroupIndex { get; init; }

    /// <summary>The column that was taken at each place, or null for left to right. [columns]</summary>
    public int[]? Order { get; init; }

    /// <summary>tr((W − Q) H (W − Q)ᵀ) with the undamped Hessian: twice the mean squared error of the layer's output. NaN without Hessian.</summary>
    public double ProxyLoss { get; init; } = double.NaN;

    /// <summary>The same loss of rounding to nearest with the same bits, group size and symmetry. NaN without Hessian.</summary>
    public double RoundToNearestLoss { get; init; } = double.NaN;

    /// <summary>The damping that was used, as a share of the mean diagonal. More than the option where that did not suffice.</summary>
    public double Damping { get; init; } = double.NaN;

    /// <summary>One sentence where the quantisation had to depart from the options, else null.</summary>
    public string? Warning { get; init; }

    /// <summary>What each row adds to <see cref="ProxyLoss"/>, where GPTQ chose the codes; else empty. [rows]</summary>
    internal double[] RowLosses { get; init; } = [];

    /// <summary>Number of groups of a row.</summary>
    public int Groups => Options.GroupCount(Columns);

    /// <summary>The group of a column.</summary>
    public int GroupOf(int column) => GroupIndex is null ? column / Options.GroupLength(Columns) : GroupIndex[column];

    /// <summary>The weights that the codes stand for, scale · (code − zero). [rows, columns]</summary>
    public float[] Dequantize()
    {
        var values = new float[Codes.Length];
        for (int row = 0; row < Rows; row++)
        {
            DequantizeRow(row, values.AsSpan(row * Columns, Columns));
        }

        return values;
    }

    /// <summary>The packed form that the engine multiplies with.</summary>
    public QuantizedMatrix ToMatrix() => QuantizedMatrix.FromCodes(Rows, Columns, Options.Bits, Options.GroupSize, Codes, Scales, Zeros, GroupIndex);

    /// <summary>One row of <see cref="Dequantize"/>.</summary>
    internal void DequantizeRow(int row, Span<float> values)
    {
        ReadOnlySpan<byte> codes = Codes.AsSpan(row * Columns, Columns);
        ReadOnlySpan<float> scales = Scales.AsSpan(row * Groups, Groups);
        ReadOnlySpan<byte> zeros = Zeros.AsSpan(row * Groups, Groups);
        if (GroupIndex is not null)
        {
            for (int column = 0; column < Columns; column++)
            {
                int group = GroupIndex[column];
                values[column] = scales[group] * (codes[column] - zeros[group]);
            }

            return;
        }

        int length = Options.GroupLength(Columns);
        for (int group = 0; group < scales.Length; group++)
        {
            int start = group * length;
            int end = Math.Min(start + length, Columns);
            for (int column = start; column < end; column++)
            {
                values[column] = scales[group] * (codes[column] - zeros[group]);
            }
        }
    }
}
