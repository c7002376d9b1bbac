using System.Buffers.Binary;
using System.Text;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

public sealed class SafetensorsFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("models/llama-mha/model.safetensors")]
    [InlineData("models/llama3-gqa/model.safetensors")]
    [InlineData("models/mistral-sliding/model.safetensors")]
    [InlineData("models/mistral-sliding/golden.safetensors")]
    [InlineData("quantization/checkpoints/gptq_b4_g64_sym/model.safetensors")]
    public void GetTensor_GivenAGoldenFile_ShouldMatchTheIndependentReader(string path)
    {
        string file = RepositoryPaths.Fixture(path.Split('/'));
        GoldenTensors golden = GoldenTensors.Read(file);
        using SafetensorsFile safetensors = SafetensorsFile.Open(file);

        Assert.Equal(golden.Names.Order(StringComparer.Ordinal), safetensors.Names.Order(StringComparer.Ordinal));
        foreach (string name in safetensors.Names)
        {
            SafetensorsInfo info = safetensors.Info(name);
            Assert.Equal(golden.DataType(name), info.Type.ToName());
            Assert.Equal(golden.Shape(name), info.Shape);
            Assert.Equal(golden.Bytes(name), safetensors.ReadBytes(name));
            if (info.Type == SafetensorsType.I64)
            {
                Assert.Equal(golden.Ints(name).Select(value => (long)value), safetensors.ReadInt64s(name));
                continue;
            }

            Tensor tensor = safetensors.GetTensor(name);
            Assert.Equal(golden.Shape(name), Enumerable.Range(0, tensor.Shape.Rank).Select(i => tensor.Shape[i]));
            if (info.Type == SafetensorsType.I32)
            {
                Assert.Equal(golden.Ints(name), tensor.Ints.ToArray());
                Assert.Equal(golden.Ints(name).Select(value => (long)value), safetensors.ReadInt64s(name));
            }
            else
            {
                Assert.Equal(golden.Floats(name), tensor.ToArray());
                Assert.Equal(golden.Floats(name), safetensors.ReadFloats(name));
            }
        }

        Assert.Equal("pt", safetensors.Metadata["format"]);
    }

    [Fact]
    public void GetTensor_GivenAlignedData_ShouldViewTheFileAndOutliveIt()
    {
        float[] values = [.. Enumerable.Range(0, 5000).Select(i => (float)i)];
        SafetensorsWriter writer = new();
        writer.AddFloats("w", values, [50, 100]);
        writer.AddBytes("tail", SafetensorsType.U8, new byte[512], [512]);
        writer.Write(_folder["a.safetensors"]);

        Tensor tensor;
        using (SafetensorsFile file = SafetensorsFile.Open(_folder["a.safetensors"]))
        {
            tensor = file.GetTensor("w");
            Assert.Throws<UserErrorException>(() => file.GetTensor("tail"));
        }

        Assert.True(((CpuStorage)tensor.Storage).IsReadOnly);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        Assert.Equal(values, tensor.ToArray());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void GetTensor_GivenAnyAlignment_ShouldReadTheSame(int padding)
    {
        byte[] data = new byte[1 + 8 + 256];
        BinaryPrimitives.WriteSingleLittleEndian(data.AsSpan(1), 1.5f);
        BinaryPrimitives.WriteSingleLittleEndian(data.AsSpan(5), -2.5f);
        string header = """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]},"c":{"dtype":"U8","shape":[256],"data_offsets":[9,265]}}""";
        using SafetensorsFile file = SafetensorsFile.Open(WriteRaw(header + new string(' ', padding), data));

        Tensor tensor = file.GetTensor("b");
        Assert.Equal([1.5f, -2.5f], tensor.ToArray());
        unsafe
        {
            Assert.Equal(0, (long)(((CpuStorage)tensor.Storage).Pointer + tensor.ByteOffset) % 4);
        }
    }

    [Fact]
    public void Read_GivenEveryType_ShouldConvertExactly()
    {
        SafetensorsWriter writer = new();
        writer.AddBytes("f64", SafetensorsType.F64, Bytes(BitConverter.GetBytes(0.1), BitConverter.GetBytes(-3.0)), [2]);
        writer.AddBytes("i64", SafetensorsType.I64, BitConverter.GetBytes(-5_000_000_000L), [1]);
        writer.AddBytes("u64", SafetensorsType.U64, BitConverter.GetBytes(7UL), [1]);
        writer.AddBytes("huge", SafetensorsType.U64, BitConverter.GetBytes(ulong.MaxValue), [1]);
        writer.AddBytes("u32", SafetensorsType.U32, BitConverter.GetBytes(uint.MaxValue), [1]);
        writer.AddBytes("i16", SafetensorsType.I16, BitConverter.GetBytes((short)-2), [1]);
        writer.AddBytes("u16", SafetensorsType.U16, BitConverter.GetBytes(ushort.MaxValue), [1]);
        writer.AddBytes("i8", SafetensorsType.I8, new byte[] { 0xFF }, [1]);
        writer.AddBytes("u8", SafetensorsType.U8, new byte[] { 0xFF }, [1]);
        writer.AddBytes("bool", SafetensorsType.Bool, new byte[] { 1, 0 }, [2]);
        writer.AddFloats("scalar", new[] { 2f }, []);
        writer.AddFloats("empty", ReadOnlyMemory<float>.Empty, [0, 7]);
        writer.Write(_folder["all.safetensors"]);
        using SafetensorsFile file = SafetensorsFile.Open(_folder["all.safetensors"]);

        Assert.Equal([0.1f, -3f], file.ReadFloats("f64"));
        Assert.Equal([0.1, -3.0], file.ReadDoubles("f64"));
        Assert.Equal([-5_000_000_000L], file.ReadInt64s("i64"));
        Assert.Equal([7L], file.ReadInt64s("u64"));
        Assert.Contains("18446744073709551615", Assert.Throws<UserErrorException>(() => file.ReadInt64s("huge")).Message, StringComparison.Ordinal);
        Assert.Equal([4294967295L], file.ReadInt64s("u32"));
        Assert.Equal([-2L], file.ReadInt64s("i16"));
        Assert.Equal([65535L], file.ReadInt64s("u16"));
        Assert.Equal([-1L], file.ReadInt64s("i8"));
        Assert.Equal([255L], file.ReadInt64s("u8"));
        Assert.Equal([1L, 0L], file.ReadInt64s("bool"));
        Assert.Equal(new Shape(1), file.GetTensor("scalar").Shape);
        Assert.Equal(new Shape(0, 7), file.GetTensor("empty").Shape);
        Assert.Throws<UserErrorException>(() => file.ReadFloats("u8"));
        Assert.Throws<UserErrorException>(() => file.ReadInt64s("f64"));
        Assert.Contains("\"absent\"", Assert.Throws<UserErrorException>(() => file.Info("absent")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("not JSON", "[1, 2]")]
    [InlineData("not an object", """{"a": 5}""")]
    [InlineData("no dtype", """{"a":{"shape":[1],"data_offsets":[0,4]}}""")]
    [InlineData("no offsets", """{"a":{"dtype":"F32","shape":[1]}}""")]
    [InlineData("three offsets", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}""")]
    [InlineData("unknown field", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}""")]
    [InlineData("unknown type", """{"a":{"dtype":"F13","shape":[1],"data_offsets":[0,4]}}""")]
    [InlineData("type as number", """{"a":{"dtype":32,"shape":[1],"data_offsets":[0,4]}}""")]
    [InlineData("negative extent", """{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""")]
    [InlineData("fractional extent", """{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}""")]
    [InlineData("huge extent", """{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}""")]
    [InlineData("overflowing product", """{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}""")]
    [InlineData("overflow that wraps to 4", """{"a":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}}""")]
    [InlineData("overflow hidden by zero", """{"a":{"dtype":"F32","shape":[4611686018427387904,4,0],"data_offsets":[0,0]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""")]
    [InlineData("negative offset", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}""")]
    [InlineData("reversed", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}""")]
    [InlineData("beyond the file", """{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""")]
    [InlineData("wrong size", """{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,4]}}""")]
    [InlineData("overlap", """{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"F16","shape":[1],"data_offsets":[2,4]}}""")]
    [InlineData("same bytes twice", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""")]
    [InlineData("gap", """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}""")]
    [InlineData("gap at the start", """{"a":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}""")]
    [InlineData("trailing bytes", """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}""")]
    [InlineData("duplicate name", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""")]
    [InlineData("duplicate by escape", """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\u0061":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""")]
    [InlineData("duplicate field", """{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}""")]
    [InlineData("metadata of numbers", """{"__metadata__":{"n":1},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""")]
    [InlineData("deep", """{"a":{"dtype":"F32","shape":[[[[1]]]],"data_offsets":[0,4]}}""")]
    [InlineData("half a surrogate", """{"\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""")]
    public void Open_GivenALyingHeader_ShouldRefuseIt(string what, string header)
    {
        string path = WriteRaw(header, new byte[4]);
        UserErrorException error = Assert.Throws<UserErrorException>(() => SafetensorsFile.Open(path).Dispose());
        Assert.True(error.Message.StartsWith(path, StringComparison.Ordinal), $"{what}: {error.Message}");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    [InlineData(8)]
    [InlineData(30)]
    [InlineData(-1)]
    public void Open_GivenACutFile_ShouldRefuseIt(int length)
    {
        byte[] bytes = File.ReadAllBytes(WriteRaw("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", new byte[4]));
        File.WriteAllBytes(_folder["cut.safetensors"], bytes[..(length < 0 ? bytes.Length + length : length)]);
        Assert.Throws<UserErrorException>(() => SafetensorsFile.Open(_folder["cut.safetensors"]).Dispose());
    }

    [Theory]
    [InlineData(ulong.MaxValue)]
    [InlineData(ulong.MaxValue - 7)]
    [InlineData(1UL << 63)]
    [InlineData(1UL << 40)]
    public void Open_GivenAnAbsurdHeaderLength_ShouldRefuseItAtOnce(ulong headerLength)
    {
        byte[] bytes = new byte[64];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, headerLength);
        File.WriteAllBytes(_folder["absurd.safetensors"], bytes);
        Assert.Throws<UserErrorException>(() => SafetensorsFile.Open(_folder["absurd.safetensors"]).Dispose());
    }

    [Fact]
    public void Open_GivenAHeaderBeyondTheLimit_ShouldRefuseItUnread()
    {
        using (FileStream sparse = File.Create(_folder["sparse.safetensors"]))
        {
            sparse.SetLength(100_000_100);
            Span<byte> length = stackalloc byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(length, 100_000_001);
            sparse.Write(length);
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<UserErrorException>(() => SafetensorsFile.Open(_folder["sparse.safetensors"]).Dispose());
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    [Fact]
    public void Open_GivenNoTensors_ShouldBeEmpty()
    {
        new SafetensorsWriter().Write(_folder["none.safetensors"]);
        using SafetensorsFile file = SafetensorsFile.Open(_folder["none.safetensors"]);
        Assert.Empty(file.Names);
    }

    [Fact]
    public void Open_GivenAFolderOrNothing_ShouldSaySo()
    {
        Assert.Throws<UserErrorException>(() => SafetensorsFile.Open(_folder.Path).Dispose());
        Assert.Throws<UserErrorException>(() => SafetensorsFile.Open(_folder["absent"]).Dispose());
    }

    [Fact]
    public void Open_GivenMutatedFiles_ShouldReadOrRefuse()
    {
        byte[] valid = File.ReadAllBytes(RepositoryPaths.Fixture("models", "bad", "good", "adapter_model.safetensors"));
        string path = _folder["mutated.safetensors"];

        // The header and a little data, so that most mutations meet the header.
        int headerEnd = 8 + (int)BinaryPrimitives.ReadInt64LittleEndian(valid);
        HostileInput.CheckReader(valid[..headerEnd], bytes =>
        {
            File.WriteAllBytes(path, [.. bytes, .. valid[headerEnd..]]);
            using SafetensorsFile file = SafetensorsFile.Open(path);
            foreach (string name in file.Names)
            {
                file.ReadBytes(name);
                file.GetTensor(name);
            }
        });
    }

    private static byte[] Bytes(params byte[][] parts) => [.. parts.SelectMany(part => part)];

    private string WriteRaw(string header, byte[] data)
    {
        byte[] text = Encoding.UTF8.GetBytes(header);
        byte[] length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, text.Length);
        string path = _folder["raw.safetensors"];
        File.WriteAllBytes(path, [.. length, .. text, .. data]);
        return path;
    }
}
