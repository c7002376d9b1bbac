namespace PureQLora.Core;

/// <summary>
/// Blocked matrix product C [m, n] = or += alpha · A [m, k] · B [k, n] on float32 sums. A is packed once into panels of micro-kernel
/// rows; B is packed in chunks of columns that all threads share. Blocks depend on the sizes alone, so results do not depend on the
/// number of threads.
/// </summary>
/// <remarks>Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008).</remarks>
internal readonly unsafe struct Gemm<TKernel>(WorkerPool pool)
    where TKernel : struct, IMicroKernel
{
    /// <summary>Inner steps between visits to C: a B panel of so many steps stays in the first-level cache.</summary>
    private const int InnerBlock = 256;

    /// <summary>Floats of B that are packed at a time: they stay in the second- or third-level cache.</summary>
    private const long ChunkFloats = 1 << 20;

    /// <summary>A panels that one task multiplies.</summary>
    private const int PanelsPerTask = 12;

    /// <summary>Runs the product.</summary>
    public void Run(in GemmProblem problem)
    {
        (int rows, int columns) = (TKernel.Rows, TKernel.Columns);
        long aPanels = (problem.M + rows - 1) / rows;
        long bPanels = (problem.N + columns - 1) / columns;
        long chunkPanels = Math.Clamp(ChunkFloats / Math.Max(1, problem.K * columns), 1, bPanels);
        using Scratch packedA = Scratch.Rent(aPanels * rows * problem.K);
        using Scratch packedB = Scratch.Rent(chunkPanels * columns * problem.K);
        PackBody packA = new(problem.A, problem.AInnerIsLine, problem.M, problem.K, rows, 0, problem.RoundToBFloat16, packedA.Floats);
        pool.For(packA.Tasks(aPanels), 1, ref packA);
        for (long panel = 0; panel < bPanels; panel += chunkPanels)
        {
            long count = Math.Min(chunkPanels, bPanels - panel);
            PackBody packB = new(problem.B, problem.BInnerIsLine, Math.Min(problem.N, (panel + count) * columns), problem.K, columns, panel, problem.RoundToBFloat16, packedB.Floats);
            pool.For(packB.Tasks(count), 1, ref packB);
            MultiplyBody multiply = new(problem, packedA.Floats, packedB.Floats, panel, count);
            pool.For(multiply.Tasks(aPanels), 1, ref multiply);
        }
    }

    private readonly struct MultiplyBody(GemmProblem problem, float* packedA, float* packedB, long firstPanel, long panels) : IParallelRange
    {
        private const int BPanelsPerTask = 8;

        private long ColumnTasks => (panels + BPanelsPerTask - 1) / BPanelsPerTask;

        public long Tasks(long aPanels) => ((aPanels + PanelsPerTask - 1) / PanelsPerTask) * ColumnTasks;

        public void Run(long start, long end)
        {
            long aPanels = (problem.M + TKernel.Rows - 1) / TKernel.Rows;
            for (long task = start; task < end; task++)
            {
                long a = task / ColumnTasks * PanelsPerTask;
                long b = task % ColumnTasks * BPanelsPerTask;
                Block(a, Math.Min(aPanels, a + PanelsPerTask), b, Math.Min(panels, b + BPanelsPerTask));
            }
        }

        private void Block(long aStart, long aEnd, long bStart, long bEnd)
        {
            long k = problem.K;
            long step = 0;
            do
            {
                int inner = (int)Math.Min(InnerBlock, k - step);
                bool accumulate = problem.Accumulate || step > 0;
                for (long b = bStart; b < bEnd; b++)
                {
                    float* bPanel = packedB + (((b * k) + step) * TKernel.Columns);
                    for (long a = aStart; a < aEnd; a++)
                    {
                        Tile(packedA + (((a * k) + step) * TKernel.Rows), bPanel, inner, accumulate, a * TKernel.Rows, (firstPanel + b) * TKernel.Columns);
                    }
                }

                step += inner;
            }
            while (step < k);
        }

        private void Tile(float* a, float* b, int inner, bool accumulate, long row, long column)
        {
            float* c = problem.C + (row * problem.N) + column;
            int rows = (int)Math.Min(TKernel.Rows, problem.M - row);
            int columns = (int)Math.Min(TKernel.Columns, problem.N - column);
            if (rows == TKernel.Rows && columns == TKernel.Columns)
            {
                TKernel.Multiply(a, b, inner, problem.Alpha, accumulate, c, problem.N);
                return;
            }

            float* whole = stackalloc float[TKernel.Rows * TKernel.Columns];
            TKernel.Multiply(a, b, inner, problem.Alpha, accumulate: false, whole, TKernel.Columns);
            for (int i = 0; i < rows; i++)
            {
                for (int j = 0; j < columns; j++)
                {
                    float value = whole[(i * TKernel.Columns) + j];
                    c[(i * problem.N) + j] = accumulate ? c[(i * problem.N) + j] + value : value;
                }
            }
        }
    }
}
