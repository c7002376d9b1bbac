using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace PureQLora.Core;

/// <summary>
/// c[rows, columns] = start + Σ over pairs of a[row, pair] · b[pair, column] with <c>vdpbf16ps</c>: both elements of a pair are
/// bfloat16, sums are float32. Rows of a are read where they are, one broadcast a pair; b and c are contiguous rows.
/// </summary>
internal sealed unsafe class PairProductKernel
{
    /// <summary>Sums in registers: enough to hide the latency of the instruction, and four registers are left for b.</summary>
    private const int Accumulators = 24;

    /// <summary>More rows at once would not fit a displacement of one byte and gain nothing.</summary>
    private const int TallestBlock = 12;

    private const int VectorBytes = 64;

    private readonly KernelTable _code;

    /// <summary>Describes the kernel; it is assembled when it first runs.</summary>
    /// <param name="rowStep">Bytes from a row of a to the next.</param>
    /// <param name="pairStep">Bytes from a pair of a to the next.</param>
    /// <param name="columns">Columns, a multiple of 16.</param>
    /// <param name="start">What the sums begin with.</param>
    public PairProductKernel(int rowStep, int pairStep, int columns, Start start) =>
        _code = new KernelTable(1, _ => new Generator(rowStep, pairStep, columns, start).Generate());

    /// <summary>What the sums begin with.</summary>
    public enum Start
    {
        /// <summary>0; c is written.</summary>
        Zero,

        /// <summary>c.</summary>
        Sum,

        /// <summary>c, each column times its factor.</summary>
        ScaledSum,
    }

    /// <summary>Multiplies.</summary>
    /// <param name="a">[rows, pairs] of 4 bytes, at the kernel's steps.</param>
    /// <param name="b">[pairs, columns] of 4 bytes</param>
    /// <param name="c">[rows, columns]</param>
    /// <param name="rows">Rows, above 0.</param>
    /// <param name="pairs">Pairs, above 0.</param>
    /// <param name="factors">[columns], for <see cref="Start.ScaledSum"/>.</param>
    public void Run(ushort* a, uint* b, float* c, int rows, int pairs, float* factors = null)
    {
        // A product takes about a microsecond, so a collection may wait for it; a transition would cost a tenth of that.
        Operands operands = new() { A = a, B = b, C = c, Rows = rows, Pairs = pairs, Factors = factors };
        ((delegate* unmanaged[SuppressGCTransition]<Operands*, void>)_code[0])(&operands);
        GC.KeepAlive(this);
    }

    private struct Operands
    {
        public ushort* A;
        public uint* B;
        public float* C;
        public long Rows;
        public long Pairs;
        public float* Factors;
    }

    /// <summary>Writes the instructions: for each strip of up to four vectors of columns, blocks of rows from tall to short.</summary>
    private readonly struct Generator(int rowStep, int pairStep, int columns, Start start)
    {
        private static readonly int[] Heights = [TallestBlock, TallestBlock / 2, 4, 2, 1];

        private readonly KernelAssembler _kernel = new();

        private Assembler Code => _kernel.Code;

        public byte[] Generate()
        {
            int vectors = columns * sizeof(float) / VectorBytes;
            for (int first = 0; first < vectors; first += 4)
            {
                Strip(first, Math.Min(4, vectors - first));
            }

            return _kernel.Assemble();
        }

        /// <summary>All rows of some vectors of columns.</summary>
        private void Strip(int first, int vectors)
        {
            Code.mov(rax, Operand(nameof(Operands.A)));
            Code.mov(rdx, Operand(nameof(Operands.C)));
            Code.mov(r8, Operand(nameof(Operands.Rows)));
            foreach (int height in Heights)
            {
                if (height * vectors > Accumulators)
                {
                    continue;
                }

                Label next = Code.CreateLabel();
                Label end = Code.CreateLabel();
                Code.Label(ref next);
                Code.cmp(r8, height);
                Code.jl(end);
                Block(first, vectors, height);
                Code.add(rax, height * rowStep);
                Code.add(rdx, height * columns * sizeof(float));
                Code.sub(r8, height);
                Code.jmp(next);
                Code.Label(ref end);
                Code.nop();
            }
        }

        /// <summary>The sums of one block of rows, from their start to their end in c.</summary>
        private void Block(int first, int vectors, int height)
        {
            Begin(first, vectors, height);
            Code.mov(r10, rax);
            Code.mov(rcx, Operand(nameof(Operands.B)));
            Code.mov(r9, Operand(nameof(Operands.Pairs)));
            Generator generator = this;
            _kernel.Loop(r9, () => generator.Pair(first, vectors, height));
            for (int i = 0; i < height * vectors; i++)
            {
                Code.vmovups(Target(first, vectors, i), Sum(i));
            }
        }

        private void Begin(int first, int vectors, int height)
        {
            if (start == Start.ScaledSum)
            {
                Code.mov(rcx, Operand(nameof(Operands.Factors)));
                for (int vector = 0; vector < vectors; vector++)
                {
                    Code.vmovups(Right(vector), __zmmword_ptr[rcx + ((first + vector) * VectorBytes)]);
                }
            }

            for (int i = 0; i < height * vectors; i++)
            {
                switch (start)
                {
                    case Start.Zero:
                        Code.vpxord(Sum(i), Sum(i), Sum(i));
                        break;
                    case Start.Sum:
                        Code.vmovups(Sum(i), Target(first, vectors, i));
                        break;
                    default:
                        Code.vmulps(Sum(i), Right(i % vectors), Target(first, vectors, i));
                        break;
                }
            }
        }

        /// <summary>Adds the products of one pair.</summary>
        private void Pair(int first, int vectors, int height)
        {
            for (int vector = 0; vector < vectors; vector++)
            {
                Code.vmovups(Right(vector), __zmmword_ptr[rcx + ((first + vector) * VectorBytes)]);
            }

            for (int i = 0; i < height * vectors; i++)
            {
                Code.vdpbf16ps(Sum(i), Right(i % vectors), __dword_bcst[r10 + (i / vectors * rowStep)]);
            }

            Code.add(r10, pairStep);
            Code.add(rcx, columns * sizeof(uint));
        }

        private AssemblerMemoryOperand Target(int first, int vectors, int i) =>
            __zmmword_ptr[rdx + (i / vectors * columns * sizeof(float)) + ((first + (i % vectors)) * VectorBytes)];

        private static AssemblerMemoryOperand Operand(string field) =>
            __qword_ptr[r11 + (int)System.Runtime.InteropServices.Marshal.OffsetOf<Operands>(field)];

        private static AssemblerRegisterZMM Sum(int i) => new(Register.ZMM0 + i);

        private static AssemblerRegisterZMM Right(int vector) => new(Register.ZMM0 + Accumulators + vector);
    }
}
