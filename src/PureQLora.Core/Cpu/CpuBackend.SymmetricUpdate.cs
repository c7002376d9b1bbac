using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Items of a chunk: neighbours share their left panels.</summary>
    private const int SymmetricGrain = 4;

    /// <summary>
    /// sum += xᵀ·x, the upper triangle alone: half the arithmetic of a product. Products are float32 over runs of 128 rows, counted from the
    /// first, and each run is added in float64; so rows may come in any portions that are multiples of 128.
    /// </summary>
    /// <remarks>
    /// x is copied once into panels that serve as left and as right operand. Every element of the sum takes its runs in the order of the
    /// rows, whatever the number of threads.
    /// </remarks>
    /// <param name="x">[rows, columns], row-major.</param>
    /// <param name="columns">Columns of <paramref name="x"/>.</param>
    /// <param name="sum">[columns, columns], row-major. What is below the diagonal is of no use afterwards.</param>
    public void SymmetricUpdate(ReadOnlySpan<float> x, int columns, Span<double> sum)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        ArgumentOutOfRangeException.ThrowIfNotEqual(x.Length % columns, 0);
        ArgumentOutOfRangeException.ThrowIfNotEqual(sum.Length, (long)columns * columns);
        int rows = x.Length / columns;
        int batch = Math.Min(rows, SymmetricProblem.BatchRows);
        using Scratch packed = Scratch.Rent((long)SymmetricProblem.PanelsOf(columns) * SymmetricProblem.PanelColumns * batch);
        fixed (float* input = x)
        {
            fixed (double* target = sum)
            {
                for (int start = 0; start < rows; start += batch)
                {
                    SymmetricUpdate(new SymmetricProblem(
                        input + ((long)start * columns), Math.Min(batch, rows - start), columns, packed.Floats, target));
                }
            }
        }
    }

    private void SymmetricUpdate(in SymmetricProblem problem)
    {
        SymmetricPacking packing = new(problem);
        _pool.For(problem.Panels, 1, ref packing);
        switch (VectorBits)
        {
            case 512:
                SymmetricUpdate<Vector512<float>, Lanes512>(problem);
                break;
            case 256:
                SymmetricUpdate<Vector256<float>, Lanes256>(problem);
                break;
            case 128:
                SymmetricUpdate<Vector128<float>, Lanes128>(problem);
                break;
            default:
                SymmetricUpdate<float, LanesScalar>(problem);
                break;
        }
    }

    private void SymmetricUpdate<TVector, TLanes>(in SymmetricProblem problem)
        where TVector : unmanaged
        where TLanes : struct, ILanes<TVector>
    {
        SymmetricBody<TVector, TLanes> body = new(problem);
        _pool.For(problem.Items, SymmetricGrain, ref body);
    }

    /// <summary>One panel an item.</summary>
    private readonly struct SymmetricPacking(SymmetricProblem problem) : IParallelRange
    {
        private readonly SymmetricProblem _problem = problem;

        public void Run(long start, long end)
        {
            for (int panel = (int)start; panel < end; panel++)
            {
                int width = _problem.Width(panel);
                float* source = _problem.Input + (panel * SymmetricProblem.PanelColumns);
                float* target = _problem.Panel(panel);
                for (int row = 0; row < _problem.Rows; row++, source += _problem.Columns, target += SymmetricProblem.PanelColumns)
                {
                    Span<float> packed = new(target, SymmetricProblem.PanelColumns);
                    new ReadOnlySpan<float>(source, width).CopyTo(packed);
                    packed[width..].Clear();
                }
            }
        }
    }

    /// <summary>Blocks of the sum where a group of left panels meets one right panel.</summary>
    private readonly struct SymmetricBody<TVector, TLanes>(SymmetricProblem problem) : IParallelRange
        where TVector : unmanaged
        where TLanes : struct, ILanes<TVector>
    {
        private const int Side = SymmetricProblem.PanelColumns;
        private const int TileRows = 4;

        private readonly SymmetricProblem _problem = problem;

        public void Run(long start, long end)
        {
            using Scratch scratch = Scratch.Rent(2 * Side * Side);
            double* block = (double*)scratch.Floats; // aligned, unlike the stack
            for (long item = start; item < end; item++)
            {
                (int group, int right) = _problem.Item(item);
                int last = Math.Min(group + SymmetricProblem.GroupPanels - 1, right);
                for (int left = group; left <= last; left++)
                {
                    (int nextLeft, int nextRight) = left < last ? (left + 1, right) : _problem.Item(Math.Min(item + 1, _problem.Items - 1));
                    AddBlock(left, right, block, _problem.Block(nextLeft, nextRight));
                }
            }
        }

        /// <summary>The block is copied out and back: its rows lie a power of two apart as a rule, and would share one set of the cache.</summary>
        private void AddBlock(int left, int right, double* block, double* next)
        {
            (int height, int width) = (_problem.Width(left), _problem.Width(right));
            double* sum = _problem.Block(left, right);
            for (int row = 0; row < height; row++)
            {
                new ReadOnlySpan<double>(sum + ((long)row * _problem.Columns), width).CopyTo(new Span<double>(block + (row * Side), width));
            }

            for (int run = 0; run < _problem.Rows; run += SymmetricProblem.RunRows)
            {
                int depth = Math.Min(SymmetricProblem.RunRows, _problem.Rows - run);
                int row = run / SymmetricProblem.RunRows * (Side / TileRows);
                double* ahead = row < Side ? next + ((long)row * _problem.Columns) : block;
                AddRun(_problem.Panel(left) + (run * Side), _problem.Panel(right) + (run * Side), depth, block, ahead);
            }

            for (int row = 0; row < height; row++)
            {
                new ReadOnlySpan<double>(block + (row * Side), width).CopyTo(new Span<double>(sum + ((long)row * _problem.Columns), width));
            }
        }

        /// <summary>One run; meanwhile some rows of the next block arrive, which lie too far apart for the processor to foresee.</summary>
        private void AddRun(float* left, float* right, int depth, double* block, double* next)
        {
            long step = next == block ? 0 : _problem.Columns;
            for (int row = 0; row < Side; row += TileRows, next += step)
            {
                MatrixSource.Prefetch((byte*)next, Side * sizeof(double));
                for (int column = 0; column < Side; column += 3 * TLanes.Count)
                {
                    AddTile(left + row, right + column, depth, block + (row * Side) + column);
                }
            }
        }

        /// <summary>block(i, j) += Σ_k left(k, i) · right(k, j) for four i and three vectors of j: twelve sums hide the latency of the adder.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void AddTile(float* left, float* right, int depth, double* block)
        {
            TVector zero = TLanes.Broadcast(0);
            TVector s00 = zero, s01 = zero, s02 = zero, s10 = zero, s11 = zero, s12 = zero;
            TVector s20 = zero, s21 = zero, s22 = zero, s30 = zero, s31 = zero, s32 = zero;
            for (int k = 0; k < depth; k++, left += Side, right += Side)
            {
                TVector r0 = TLanes.Load(right), r1 = TLanes.Load(right + TLanes.Count), r2 = TLanes.Load(right + (2 * TLanes.Count));
                Add(TLanes.Broadcast(left[0]), r0, r1, r2, ref s00, ref s01, ref s02);
                Add(TLanes.Broadcast(left[1]), r0, r1, r2, ref s10, ref s11, ref s12);
                Add(TLanes.Broadcast(left[2]), r0, r1, r2, ref s20, ref s21, ref s22);
                Add(TLanes.Broadcast(left[3]), r0, r1, r2, ref s30, ref s31, ref s32);
            }

            AddTo(s00, s01, s02, block);
            AddTo(s10, s11, s12, block + Side);
            AddTo(s20, s21, s22, block + (2 * Side));
            AddTo(s30, s31, s32, block + (3 * Side));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Add(TVector a, TVector r0, TVector r1, TVector r2, ref TVector s0, ref TVector s1, ref TVector s2)
        {
            s0 = TLanes.MultiplyAdd(a, r0, s0);
            s1 = TLanes.MultiplyAdd(a, r1, s1);
            s2 = TLanes.MultiplyAdd(a, r2, s2);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void AddTo(TVector s0, TVector s1, TVector s2, double* sums)
        {
            TLanes.AddTo(s0, sums);
            TLanes.AddTo(s1, sums + TLanes.Count);
            TLanes.AddTo(s2, sums + (2 * TLanes.Count));
        }
    }
}
