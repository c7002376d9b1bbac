using System.Runtime.InteropServices;

namespace PureQLora.Tools.Bench;

/// <summary>
/// oneDNN 2.x as the system has it: bfloat16 products through its C interface, the weight laid out once as the library likes it best.
/// </summary>
/// <remarks>Numbers of enumerations are those of dnnl_types.h 2.6.</remarks>
internal sealed unsafe class OneDnn : IDisposable
{
    private const string Library = "libdnnl.so.2";
    private const string OpenMp = "libgomp.so.1";
    private const int Cpu = 1;
    private const uint InOrder = 1;
    private const int BFloat16Type = 2;
    private const int AnyLayout = 1;
    private const int QueryWeights = 131;
    private const int Source = 1;
    private const int Destination = 17;
    private const int Weights = 33;
    private const int DescriptorBytes = 2048;
    private const int OperationBytes = 16_384;

    private readonly nint _library;
    private readonly nint _engine;
    private readonly nint _stream;

    private OneDnn(nint library)
    {
        _library = library;
        int* version = ((delegate* unmanaged<int*>)Export("dnnl_version"))();
        Version = $"oneDNN {version[0]}.{version[1]}.{version[2]}";
        nint handle;
        Check(((delegate* unmanaged<nint*, int, nuint, int>)Export("dnnl_engine_create"))(&handle, Cpu, 0));
        _engine = handle;
        Check(((delegate* unmanaged<nint*, nint, uint, int>)Export("dnnl_stream_create"))(&handle, _engine, InOrder));
        _stream = handle;
    }

    /// <summary>Such as <c>oneDNN 2.6.3</c>.</summary>
    public string Version { get; }

    /// <summary>Loads it, or says in one sentence that it is missing.</summary>
    /// <param name="threads">Threads it may use.</param>
    public static OneDnn? TryLoad(int threads)
    {
        if (!NativeLibrary.TryLoad(Library, out nint library))
        {
            Report.Missing($"oneDNN: {Library} is not on this machine; Debian's package is libdnnl2.");
            return null;
        }

        if (NativeLibrary.TryLoad(OpenMp, out nint openMp))
        {
            ((delegate* unmanaged<int, void>)NativeLibrary.GetExport(openMp, "omp_set_num_threads"))(threads);
        }

        return new OneDnn(library);
    }

    /// <summary>A product y = x · Wᵀ of bfloat16 numbers near 1, ready to run.</summary>
    /// <param name="m">Rows of x.</param>
    /// <param name="n">Output features.</param>
    /// <param name="k">Input features.</param>
    public Product Prepare(int m, int n, int k) => new(this, m, n, k);

    /// <summary>Releases stream and engine.</summary>
    public void Dispose()
    {
        Destroy("dnnl_stream_destroy", _stream);
        Destroy("dnnl_engine_destroy", _engine);
        NativeLibrary.Free(_library);
    }

    private nint Export(string name) => NativeLibrary.GetExport(_library, name);

    private void Destroy(string function, nint handle) => ((delegate* unmanaged<nint, int>)Export(function))(handle);

    private static void Check(int status)
    {
        if (status != 0)
        {
            throw new PeerFailedException($"oneDNN answered with status {status}");
        }
    }

    /// <summary>One product with its operands.</summary>
    internal sealed class Product : IDisposable
    {
        private readonly OneDnn _library;
        private readonly List<(string Function, nint Handle)> _handles = [];
        private readonly List<nint> _blocks = [];
        private readonly nint _primitive;
        private readonly nint _x;
        private readonly nint _weight;
        private readonly nint _y;

        internal Product(OneDnn library, int m, int n, int k)
        {
            _library = library;
            byte* xLayout = Layout(m, k, k, 1);
            byte* plainLayout = Layout(k, n, 1, k);             // Wᵀ as it lies in W
            byte* yLayout = Layout(m, n, n, 1);
            byte* anyLayout = Block(DescriptorBytes);
            long* extents = stackalloc long[12];
            (extents[0], extents[1]) = (k, n);
            Check(((delegate* unmanaged<byte*, int, long*, int, int, int>)Export("dnnl_memory_desc_init_by_tag"))(anyLayout, 2, extents, BFloat16Type, AnyLayout));
            byte* operation = Block(OperationBytes);
            Check(((delegate* unmanaged<byte*, byte*, byte*, byte*, byte*, int>)Export("dnnl_matmul_desc_init"))(operation, xLayout, anyLayout, null, yLayout));
            nint description;
            Check(((delegate* unmanaged<nint*, byte*, nint, nint, nint, int>)Export("dnnl_primitive_desc_create"))(&description, operation, 0, _library._engine, 0));
            Keep("dnnl_primitive_desc_destroy", description);
            byte* weightLayout = ((delegate* unmanaged<nint, int, int, byte*>)Export("dnnl_primitive_desc_query_md"))(description, QueryWeights, 0);
            _primitive = Primitive(description);
            nint plain = Memory(plainLayout);
            (_x, _weight, _y) = (Memory(xLayout), Memory(weightLayout), Memory(yLayout));
            nint reorder;
            Check(((delegate* unmanaged<nint*, byte*, nint, byte*, nint, nint, int>)Export("dnnl_reorder_primitive_desc_create"))(
                &reorder, plainLayout, _library._engine, weightLayout, _library._engine, 0));
            Keep("dnnl_primitive_desc_destroy", reorder);
            Execute(Primitive(reorder), [new(Source, plain), new(Destination, _weight)]);
        }

        /// <summary>Computes it once.</summary>
        public void Run() => Execute(_primitive, [new(Source, _x), new(Weights, _weight), new(Destination, _y)]);

        /// <summary>Releases everything.</summary>
        public void Dispose()
        {
            for (int i = _handles.Count - 1; i >= 0; i--)
            {
                _library.Destroy(_handles[i].Function, _handles[i].Handle);
            }

            _blocks.ForEach(static block => NativeMemory.AlignedFree((void*)block));
        }

        private nint Export(string name) => _library.Export(name);

        private void Keep(string destroy, nint handle) => _handles.Add((destroy, handle));

        private byte* Block(nuint bytes)
        {
            byte* block = (byte*)NativeMemory.AlignedAlloc(bytes, 64);
            NativeMemory.Clear(block, bytes);
            _blocks.Add((nint)block);
            return block;
        }

        private byte* Layout(long rows, long columns, long rowStride, long columnStride)
        {
            byte* layout = Block(DescriptorBytes);
            long* extents = stackalloc long[12];
            long* strides = stackalloc long[12];
            (extents[0], extents[1], strides[0], strides[1]) = (rows, columns, rowStride, columnStride);
            Check(((delegate* unmanaged<byte*, int, long*, int, long*, int>)Export("dnnl_memory_desc_init_by_strides"))(layout, 2, extents, BFloat16Type, strides));
            return layout;
        }

        private nint Memory(byte* layout)
        {
            nuint bytes = ((delegate* unmanaged<byte*, nuint>)Export("dnnl_memory_desc_get_size"))(layout);
            byte* block = Block(bytes);
            Random.Shared.NextBytes(new Span<byte>(block, (int)bytes));
            for (nuint i = 1; i < bytes; i += 2)
            {
                // Exponents near 1 whatever the rest: no infinity, no subnormal number.
                block[i] = (byte)(0x3E | (block[i] & 0x81));
            }

            nint memory;
            Check(((delegate* unmanaged<nint*, byte*, nint, byte*, int>)Export("dnnl_memory_create"))(&memory, layout, _library._engine, block));
            Keep("dnnl_memory_destroy", memory);
            return memory;
        }

        private nint Primitive(nint description)
        {
            nint primitive;
            Check(((delegate* unmanaged<nint*, nint, int>)Export("dnnl_primitive_create"))(&primitive, description));
            Keep("dnnl_primitive_destroy", primitive);
            return primitive;
        }

        private void Execute(nint primitive, ReadOnlySpan<Argument> arguments)
        {
            fixed (Argument* first = arguments)
            {
                Check(((delegate* unmanaged<nint, nint, int, Argument*, int>)Export("dnnl_primitive_execute"))(primitive, _library._stream, arguments.Length, first));
            }

            Check(((delegate* unmanaged<nint, int>)Export("dnnl_stream_wait"))(_library._stream));
        }

        /// <summary>An operand of a primitive, as the library lays it out.</summary>
        [StructLayout(LayoutKind.Sequential)]
        private readonly record struct Argument(int Index, nint Memory);
    }
}
