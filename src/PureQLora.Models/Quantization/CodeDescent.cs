using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// Improves scales and codes one after the other: sweeps through the groups of a row; each group's scale takes its least-squares value
/// for fixed codes, then each of its codes the nearest to what minimises tr(D (H + λI) Dᵀ), D = Q − T, with all others fixed.
/// </summary>
/// <remarks>
/// Compare QuantEase, arXiv:2309.01885, eq. 8, for the codes. With G = −D(H + λI): a scale moves by Σ_j o_j G_j / (oᵀ(H + λI)o), o = code − zero
/// inside the group, and is rounded as it is stored; a weight wants q_j + G_j / (H_jj + λ). What would not lower the objective is not
/// done. G is computed afresh for a block of groups of about 128 columns and updated within it, so a sweep costs two passes of GPTQ's columns. Sweeps end
/// when one lowers the objective of its 128 rows by less than a hundredth; λ is a tenth of the ridge that GPTQ takes.
/// </remarks>
internal sealed unsafe class CodeDescent
{
    private const int ChunkRows = 128;

    /// <summary>Columns for which the gradient is computed at once; a longer group is taken whole.</summary>
    private const int BlockColumns = 128;

    /// <summary>Columns that are taken one by one before others learn of their changes.</summary>
    private const int Leaf = 8;

    private const double ShareOfRidge = 0.1;

    /// <summary>A sweep that lowers the objective by a smaller share is the last.</summary>
    private const double SmallestGain = 0.01;

    private const int MostSweeps = 8;

    /// <summary>A scale leaves these bounds of its former value only where the fit is ill-conditioned.</summary>
    private const double LeastScale = 0.5;
    private const double MostScale = 1.5;

    private readonly float* _target;     // T. [rows, columns]
    private readonly double* _hessian;   // in the order of places. [columns, columns]
    private readonly QuantizationResult _result;
    private readonly HessianFactor _factor;
    private readonly int[]? _columnAt;   // the column at each place, null for the identity
    private readonly int[] _groupStarts; // first place of each group, and the end. [groups + 1]
    private readonly double _ridge;
    private readonly int _vectorBits;

    private CodeDescent(float* target, double* hessian, QuantizationResult result, HessianFactor factor, int[]? columnAt, int vectorBits)
    {
        _target = target;
        _hessian = hessian;
        (_result, _factor, _columnAt, _vectorBits) = (result, factor, columnAt, vectorBits);
        _ridge = ShareOfRidge * factor.Ridge;
        _groupStarts = new int[result.Groups + 1];
        for (int place = 0; place < result.Columns; place++)
        {
            _groupStarts[result.GroupOf(ColumnAt(place)) + 1] = place + 1;
        }
    }

    /// <summary>The columns sorted by group, or null where they are. [columns]</summary>
    public static int[]? PlacesOf(QuantizationResult result) =>
        result.GroupIndex is null ? null : [.. Enumerable.Range(0, result.Columns).OrderBy(result.GroupOf)];

    /// <summary>Improves what GPTQ has made.</summary>
    /// <param name="target">T, what was quantised, row-major. [rows, columns]</param>
    /// <param name="result">Of GPTQ; its codes and scales are changed in place.</param>
    /// <param name="hessian">Undamped, rows and columns in the order of <see cref="PlacesOf"/>. [columns, columns]</param>
    /// <param name="factor">Of the same Hessian.</param>
    /// <param name="backend">Gives threads and vectors.</param>
    /// <returns>The same with its new loss.</returns>
    public static QuantizationResult Run(ReadOnlySpan<float> target, QuantizationResult result, double[] hessian, HessianFactor factor, CpuBackend backend)
    {
        if (result.RowLosses.Length == 0)
        {
            return result; // rounded to nearest, because the Hessian could not be factored
        }

        double[] losses = new double[result.Rows];
        fixed (float* pinnedTarget = target)
        {
            fixed (double* pinnedHessian = hessian)
            {
                CodeDescent descent = new(pinnedTarget, pinnedHessian, result, factor, PlacesOf(result), backend.VectorBits);
                backend.For(result.Rows, ChunkRows, (start, end) => descent.DescendRows((int)start, (int)(end - start), losses));
            }
        }

        return result with { ProxyLoss = losses.Sum(), RowLosses = losses };
    }

    private int ColumnAt(int place) => _columnAt is null ? place : _columnAt[place];

    private double Target(int row, int column) => _factor.Dead[column] ? 0 : _target[((long)row * _result.Columns) + column];

    private double Curvature(int place) => _hessian[((long)place * _result.Columns) + place] + _ridge;

    private void DescendRows(int first, int rows, double[] losses)
    {
        int n = _result.Columns;
        int width = LongestBlock();
        using Borrowed errors = Borrowed.Rent(rows * n);
        using Borrowed gradients = Borrowed.Rent(rows * width);
        using Borrowed products = Borrowed.Rent(rows * width);
        using Borrowed changes = Borrowed.Rent(rows * width);
        double[] gains = new double[rows];
        fixed (double* e = errors.Array, g = gradients.Array, p = products.Array, c = changes.Array)
        {
            DescentRows chunk = new(first, rows, new DoubleMatrix(e, n), new DoubleMatrix(g, width), new DoubleMatrix(p, width), new DoubleMatrix(c, width), gains);
            double objective = 0;
            for (int row = 0; row < rows; row++)
            {
                objective += _result.RowLosses[first + row] + (_ridge * LoadErrors(chunk, row));
            }

            for (int sweep = 0; sweep < MostSweeps; sweep++)
            {
                double before = gains.Sum();
                Sweep(chunk);
                double gain = gains.Sum() - before;
                if (!(gain > SmallestGain * (objective - before)))
                {
                    break;
                }
            }

            for (int row = 0; row < rows; row++)
            {
                double start = _result.RowLosses[first + row] + (_ridge * chunk.FirstSquares[row]);
                losses[first + row] = Math.Max(start - gains[row] - (_ridge * Squares(chunk, row)), 0);
            }
        }
    }

    /// <summary>Q − T in the order of places.</summary>
    /// <returns>The sum of its squares.</returns>
    private double LoadErrors(DescentRows chunk, int row)
    {
        double* errors = chunk.Errors.At(row, 0);
        for (int group = 0; group < _result.Groups; group++)
        {
            Grid grid = GridOf(chunk.First + row, group);
            for (int place = _groupStarts[group]; place < _groupStarts[group + 1]; place++)
            {
                int column = ColumnAt(place);
                errors[place] = (grid.Scale * (Code(chunk.First + row, column) - grid.Zero)) - Target(chunk.First + row, column);
            }
        }

        return chunk.FirstSquares[row] = Squares(chunk, row);
    }

    private double Squares(DescentRows chunk, int row) =>
        System.Numerics.Tensors.TensorPrimitives.SumOfSquares(new ReadOnlySpan<double>(chunk.Errors.At(row, 0), _result.Columns));

    private ref byte Code(int row, int column) => ref _result.Codes[((long)row * _result.Columns) + column];

    private Grid GridOf(int row, int group) => new(_result.Scales[(row * _result.Groups) + group], _result.Zeros[(row * _result.Groups) + group]);

    private int LongestBlock()
    {
        int longest = 0;
        for (int group = 0; group < _result.Groups; group = EndOfBlock(group))
        {
            longest = Math.Max(longest, _groupStarts[EndOfBlock(group)] - _groupStarts[group]);
        }

        return longest;
    }

    /// <summary>The group after those that are taken together with this one.</summary>
    private int EndOfBlock(int group)
    {
        int end = group + 1;
        while (end < _result.Groups && _groupStarts[end + 1] - _groupStarts[group] <= BlockColumns)
        {
            end++;
        }

        return end;
    }

    private void Sweep(DescentRows chunk)
    {
        for (int group = 0; group < _result.Groups;)
        {
            int last = EndOfBlock(group);
            (int start, int end) = (_groupStarts[group], _groupStarts[last]);
            ComputeGradients(chunk, start, end);
            for (; group < last; group++)
            {
                (int from, int to) = (_groupStarts[group], _groupStarts[group + 1]);
                for (int row = 0; row < chunk.Rows; row++)
                {
                    new Span<double>(chunk.Changes.At(row, from - start), to - from).Clear();
                }

                FitScales(chunk, group, start);
                DescendCodes(chunk, group, start, from, to);
                Update(chunk, start, from, to, to, end);
            }
        }
    }

    /// <summary>G = −D(H + λI) for the columns of a block.</summary>
    private void ComputeGradients(DescentRows chunk, int start, int end)
    {
        for (int row = 0; row < chunk.Rows; row++)
        {
            new Span<double>(chunk.Gradients.At(row, 0), end - start).Clear();
        }

        DoubleMatrix hessian = new(_hessian, _result.Columns);
        BlockUpdate.Subtract(_vectorBits, chunk.Gradients, chunk.Errors, hessian.From(0, start), chunk.Rows, _result.Columns, end - start);
        for (int row = 0; row < chunk.Rows; row++)
        {
            double* g = chunk.Gradients.At(row, 0);
            double* e = chunk.Errors.At(row, start);
            for (int i = 0; i < end - start; i++)
            {
                g[i] = Math.FusedMultiplyAdd(-_ridge, e[i], g[i]);
            }
        }
    }

    /// <summary>Sets the scales of a group to their least-squares values. −o·H of the group is left where the products are.</summary>
    private void FitScales(DescentRows chunk, int group, int start)
    {
        (int from, int width) = (_groupStarts[group], _groupStarts[group + 1] - _groupStarts[group]);
        for (int row = 0; row < chunk.Rows; row++)
        {
            new Span<double>(chunk.Products.At(row, 0), width).Clear();
            double* offsets = chunk.Changes.At(row, from - start);
            int zero = GridOf(chunk.First + row, group).Zero;
            for (int i = 0; i < width; i++)
            {
                offsets[i] = Code(chunk.First + row, ColumnAt(from + i)) - zero;
            }
        }

        DoubleMatrix hessian = new(_hessian, _result.Columns);
        BlockUpdate.Subtract(
            _vectorBits, chunk.Products, chunk.Changes.From(0, from - start), hessian.From(from, from), chunk.Rows, width, width);
        for (int row = 0; row < chunk.Rows; row++)
        {
            FitScale(chunk, row, group, start);
        }
    }

    private void FitScale(DescentRows chunk, int row, int group, int start)
    {
        (int from, int width) = (_groupStarts[group], _groupStarts[group + 1] - _groupStarts[group]);
        double* offsets = chunk.Changes.At(row, from - start);
        double* products = chunk.Products.At(row, 0);
        double* gradients = chunk.Gradients.At(row, from - start);
        double* errors = chunk.Errors.At(row, from);
        (double slope, double curvature) = (0, 0);
        for (int i = 0; i < width; i++)
        {
            products[i] = Math.FusedMultiplyAdd(-_ridge, offsets[i], products[i]);
            slope = Math.FusedMultiplyAdd(offsets[i], gradients[i], slope);
            curvature = Math.FusedMultiplyAdd(-offsets[i], products[i], curvature);
        }

        ref float scale = ref _result.Scales[((chunk.First + row) * _result.Groups) + group];
        double wanted = curvature > 0 ? Math.Clamp(scale + (slope / curvature), LeastScale * scale, MostScale * scale) : scale;
        float stored = (float)GroupQuantizer.Storable(wanted, _result.Options);
        double step = (double)stored - scale;
        double gain = step * ((2 * slope) - (step * curvature));
        if (!(gain > 0) || !(stored > 0))
        {
            new Span<double>(offsets, width).Clear();
            return;
        }

        scale = stored;
        chunk.Gains[row] += gain;
        for (int i = 0; i < width; i++)
        {
            int column = ColumnAt(from + i);
            gradients[i] = Math.FusedMultiplyAdd(step, products[i], gradients[i]);
            errors[i] = (scale * offsets[i]) - Target(chunk.First + row, column);
            offsets[i] *= step; // now what the values have changed by
        }
    }

    /// <summary>Codes of places [from, to) of one group; those that follow within it learn of the changes.</summary>
    private void DescendCodes(DescentRows chunk, int group, int start, int from, int to)
    {
        if (to - from > Leaf)
        {
            int middle = from + ((((to - from) / 2) + Leaf - 1) / Leaf * Leaf);
            DescendCodes(chunk, group, start, from, middle);
            UpdateMoves(chunk, group, start, from, middle, to);
            DescendCodes(chunk, group, start, middle, to);
            return;
        }

        for (int row = 0; row < chunk.Rows; row++)
        {
            DescendLeaf(chunk, row, group, start, from, to);
        }
    }

    /// <summary>Products now hold what the codes alone have moved, because the gradients within the group know of the scale already.</summary>
    private void UpdateMoves(DescentRows chunk, int group, int start, int from, int middle, int to)
    {
        DoubleMatrix hessian = new(_hessian, _result.Columns);
        BlockUpdate.Subtract(
            _vectorBits,
            chunk.Gradients.From(0, middle - start),
            chunk.Products.From(0, from - _groupStarts[group]),
            hessian.From(from, middle),
            chunk.Rows,
            middle - from,
            to - middle);
    }

    private void DescendLeaf(DescentRows chunk, int row, int group, int start, int from, int to)
    {
        Grid grid = GridOf(chunk.First + row, group);
        double* gradients = chunk.Gradients.At(row, 0) - start;
        double* moves = chunk.Products.At(row, 0) - _groupStarts[group];
        double* changes = chunk.Changes.At(row, 0) - start;
        double* errors = chunk.Errors.At(row, 0);
        for (int place = from; place < to; place++)
        {
            int column = ColumnAt(place);
            ref byte code = ref Code(chunk.First + row, column);
            double value = grid.Scale * (code - grid.Zero);
            double curvature = Curvature(place);
            byte nearest = (byte)Math.Clamp(Math.Round((value + (gradients[place] / curvature)) / grid.Scale) + grid.Zero, 0, _result.Options.Levels);
            double move = (grid.Scale * (nearest - grid.Zero)) - value;
            double gain = move * ((2 * gradients[place]) - (move * curvature));
            if (_factor.Dead[column] || !(gain > 0))
            {
                moves[place] = 0;
                continue;
            }

            code = nearest;
            moves[place] = move;
            changes[place] += move;
            errors[place] = (grid.Scale * (nearest - grid.Zero)) - Target(chunk.First + row, column);
            chunk.Gains[row] += gain;
            double* hessian = _hessian + ((long)place * _result.Columns);
            for (int later = place + 1; later < to; later++)
            {
                gradients[later] = Math.FusedMultiplyAdd(-move, hessian[later], gradients[later]);
            }
        }
    }

    /// <summary>Tells the later groups of a block what has changed in places [from, to).</summary>
    private void Update(DescentRows chunk, int start, int from, int to, int first, int last)
    {
        if (first < last)
        {
            DoubleMatrix hessian = new(_hessian, _result.Columns);
            BlockUpdate.Subtract(
                _vectorBits, chunk.Gradients.From(0, first - start), chunk.Changes.From(0, from - start), hessian.From(from, first), chunk.Rows, to - from, last - first);
        }
    }

    private readonly record struct Grid(double Scale, int Zero);

    /// <summary>Rows that are swept together.</summary>
    /// <param name="First">The first of them.</param>
    /// <param name="Rows">How many.</param>
    /// <param name="Errors">Q − T. [rows, columns]</param>
    /// <param name="Gradients">Of the present block. [rows, block]</param>
    /// <param name="Products">−o·H of the present group, then what its codes have moved. [rows, block]</param>
    /// <param name="Changes">Of the values of the present block. [rows, block]</param>
    /// <param name="Gains">By how much the objective has fallen. [rows]</param>
    private sealed record DescentRows(
        int First, int Rows, DoubleMatrix Errors, DoubleMatrix Gradients, DoubleMatrix Products, DoubleMatrix Changes, double[] Gains)
    {
        /// <summary>Σ (Q − T)² before the first sweep. [rows]</summary>
        public double[] FirstSquares { get; } = new double[Rows];
    }
}
