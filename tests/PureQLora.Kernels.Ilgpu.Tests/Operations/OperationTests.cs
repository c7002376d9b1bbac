using PureQLora.Core;
using PureQLora.Core.Tests;

namespace PureQLora.Kernels.Tests;

public sealed class DeviceUnaryTests : UnaryTests, IDisposable
{
    private readonly BridgedDevice _device = new();

    protected override IBackend Backend => _device.Backend;

    /// <summary>Also for the tanh form of GELU, whose tail is a sigmoid here.</summary>
    protected override double AbsoluteError(UnaryKind kind) => 1e-12;

    public void Dispose() => _device.Dispose();
}

public sealed class DeviceCrossEntropyTests : CrossEntropyTests, IDisposable
{
    private readonly BridgedDevice _device = new();

    protected override IBackend Backend => _device.Backend;

    protected override bool IsTooLong(long multiplications) => BridgedDevice.IsTooLong(multiplications);

    public void Dispose() => _device.Dispose();
}

public sealed class DeviceAdamWTests : AdamWTests, IDisposable
{
    private readonly BridgedDevice _device = new();

    protected override IBackend Backend => _device.Backend;

    public void Dispose() => _device.Dispose();
}

public sealed class DeviceRotaryEmbeddingTests : RotaryEmbeddingTests, IDisposable
{
    private readonly BridgedDevice _device = new();

    protected override IBackend Backend => _device.Backend;

    public void Dispose() => _device.Dispose();
}

public sealed class DeviceCausalAttentionTests : CausalAttentionTests, IDisposable
{
    private readonly BridgedDevice _device = new();

    protected override IBackend Backend => _device.Backend;

    protected override bool IsTooLong(long multiplications) => BridgedDevice.IsTooLong(multiplications / 3);

    public void Dispose() => _device.Dispose();
}

public sealed class DeviceGatherTests : GatherTests, IDisposable
{
    private readonly BridgedDevice _device = new();

    protected override IBackend Backend => _device.Backend;

    public void Dispose() => _device.Dispose();
}

public sealed class DeviceBinaryTests : BinaryTests, IDisposable
{
    private readonly BridgedDevice _device = new();

    protected override IBackend Backend => _device.Backend;

    protected override double Scale => BridgedDevice.Scale;

    public void Dispose() => _device.Dispose();
}

public sealed class DeviceSoftmaxTests : SoftmaxTests, IDisposable
{
    private readonly BridgedDevice _device = new();

    protected override IBackend Backend => _device.Backend;

    public void Dispose() => _device.Dispose();
}

public sealed class DeviceQLoraLinearTests : QLoraLinearTests, IDisposable
{
    private readonly BridgedDevice _device = new();

    protected override IBackend Backend => _device.Backend;

    protected override int UnroundedRows => 8;

    protected override bool IsTooLong(long multiplications) => BridgedDevice.IsTooLong(multiplications);

    public void Dispose() => _device.Dispose();
}

public sealed class DeviceDropoutTests : DropoutTests, IDisposable
{
    private readonly BridgedDevice _device = new();

    protected override IBackend Backend => _device.Backend;

    public void Dispose() => _device.Dispose();
}

public sealed class DeviceCastTests : CastTests, IDisposable
{
    private readonly BridgedDevice _device = new();

    protected override IBackend Backend => _device.Backend;

    /// <summary>The instruction of GPUs makes one NaN of all.</summary>
    protected override bool KeepsPayloads => false;

    public void Dispose() => _device.Dispose();
}

public sealed class DeviceLayoutTests : LayoutTests, IDisposable
{
    private readonly BridgedDevice _device = new();

    protected override IBackend Backend => _device.Backend;

    public void Dispose() => _device.Dispose();
}

public sealed class DeviceSwiGluTests : SwiGluTests, IDisposable
{
    private readonly BridgedDevice _device = new();

    protected override IBackend Backend => _device.Backend;

    public void Dispose() => _device.Dispose();
}

public sealed class DeviceMatMulTests : MatMulTests, IDisposable
{
    private readonly BridgedDevice _device = new();

    protected override IBackend Backend => _device.Backend;

    protected override bool IsTooLong(long multiplications) => BridgedDevice.IsTooLong(multiplications);

    public void Dispose() => _device.Dispose();
}

public sealed class DeviceReductionTests : ReductionTests, IDisposable
{
    private readonly BridgedDevice _device = new();

    protected override IBackend Backend => _device.Backend;

    public void Dispose() => _device.Dispose();
}

public sealed class DeviceRmsNormTests : RmsNormTests, IDisposable
{
    private readonly BridgedDevice _device = new();

    protected override IBackend Backend => _device.Backend;

    public void Dispose() => _device.Dispose();
}

public sealed class DeviceKullbackLeiblerTests : KullbackLeiblerTests, IDisposable
{
    private readonly BridgedDevice _device = new();

    protected override IBackend Backend => _device.Backend;

    protected override bool IsTooLong(long multiplications) => BridgedDevice.IsTooLong(multiplications);

    public void Dispose() => _device.Dispose();
}

public sealed class DeviceScaleGradientTests : ScaleGradientTests, IDisposable
{
    private readonly BridgedDevice _device = new();

    protected override IBackend Backend => _device.Backend;

    protected override bool IsTooLong(long multiplications) => BridgedDevice.IsTooLong(multiplications);

    public void Dispose() => _device.Dispose();
}
