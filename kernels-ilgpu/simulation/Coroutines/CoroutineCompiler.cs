using System.Reflection;
using System.Reflection.Emit;
using PureQLora.Kernels.Simulation.Engine;

namespace PureQLora.Kernels.Simulation.Coroutines;

/// <summary>
/// Makes coroutines of methods that wait for other threads, so that thousands of simulated threads need one thread of the system: changing
/// from one to another costs a return and a call, where handing over between threads of the system costs some twenty microseconds.
/// </summary>
/// <remarks>
/// The body stays as it is, but for its arguments and local variables, which move to the frame, and for calls of methods that wait. Before
/// such a call everything on the evaluation stack goes to the frame too; then the call is tried, and tried again whenever the coroutine is
/// entered, until it has come to its end. Methods that never wait are called as they are.
/// </remarks>
internal sealed class CoroutineCompiler
{
    private static readonly MethodInfo MustWait = typeof(SimulatedThread).GetMethod(nameof(SimulatedThread.MustWait), BindingFlags.Public | BindingFlags.Static)!;

    private readonly Dictionary<MethodBase, Coroutine> _coroutines = [];
    private readonly Dictionary<MethodBase, bool> _waits = [];

    /// <summary>Whether a method waits for other threads, by itself or in what it calls.</summary>
    public bool Waits(MethodBase method)
    {
        if (_waits.TryGetValue(method, out bool known))
        {
            return known;
        }

        _waits[method] = false; // for a method that calls itself
        bool waits = method.IsDefined(typeof(MeetsAttribute));
        if (!waits && IsFollowed(method) && method.GetMethodBody()?.GetILAsByteArray() is { } body)
        {
            List<Instruction> instructions = InstructionReader.Read(method, body);
            for (int i = 0; i < instructions.Count && !waits; i++)
            {
                waits = Callee(instructions, i) is { } callee && Waits(callee);
            }
        }

        return _waits[method] = waits;
    }

    /// <summary>The coroutine of a method.</summary>
    /// <exception cref="UnfollowableException">There cannot be one.</exception>
    public Coroutine Compile(MethodBase method)
    {
        if (_coroutines.TryGetValue(method, out Coroutine? known))
        {
            return known;
        }

        MethodBody body = method.GetMethodBody() ?? throw new UnfollowableException($"{method.Name} has no body.");
        if (body.ExceptionHandlingClauses.Count > 0)
        {
            throw new UnfollowableException($"{method.Name} has a try block.");
        }

        List<Instruction> instructions = InstructionReader.Read(method, body.GetILAsByteArray()!);
        Type[] arguments = StackEntry.Parameters(method);
        Type[] locals = [.. body.LocalVariables.OrderBy(local => local.LocalIndex).Select(local => local.LocalType)];
        StackEntry[][] stacks = StackTyper.Run(instructions, arguments, locals);
        FrameLayout frame = new(arguments, locals, ((MethodInfo)method).ReturnType);
        Dictionary<int, WaitPoint> points = [];
        int deepest = 0;
        for (int i = 0; i < instructions.Count; i++)
        {
            if (Callee(instructions, i) is { } callee && Waits(callee))
            {
                Coroutine? coroutine = callee.IsDefined(typeof(MeetsAttribute)) ? null : Compile(callee);
                points.Add(i, frame.AddWaitPoint(points.Count + 1, callee, coroutine, stacks[i]));
                deepest = Math.Max(deepest, coroutine?.StackSize ?? 0);
            }
        }

        DynamicMethod dynamic = new($"{method.Name} as a coroutine", typeof(bool), [typeof(nint)], method.Module, skipVisibility: true);
        new BodyEmitter(dynamic.GetILGenerator(), frame, MustWait).Emit(instructions, points);
        Coroutine result = new(dynamic, dynamic.CreateDelegate<Func<nint, bool>>(), frame.Arguments, frame.Result, frame.Size, frame.Size + deepest);
        _coroutines.Add(method, result);
        return result;
    }

    /// <summary>The method that an instruction calls, as far as that is known; null if it calls none.</summary>
    private static MethodInfo? Callee(List<Instruction> instructions, int index)
    {
        Instruction instruction = instructions[index];
        if (instruction.Operand is not MethodInfo method || instruction.Code.FlowControl != FlowControl.Call)
        {
            return null;
        }

        return index > 0 && instructions[index - 1] is { Operand: Type type } prefix && prefix.Code == OpCodes.Constrained
            ? Implementation(type, method) ?? method
            : method;
    }

    /// <summary>What a type has for a method of one of its interfaces.</summary>
    private static MethodInfo? Implementation(Type type, MethodInfo method)
    {
        MethodInfo definition = method.IsGenericMethod ? method.GetGenericMethodDefinition() : method;
        if (method.DeclaringType is not { IsInterface: true } || !type.IsValueType)
        {
            return null;
        }

        InterfaceMapping map = type.GetInterfaceMap(method.DeclaringType);
        int index = Array.IndexOf(map.InterfaceMethods, definition);
        MethodInfo? target = index < 0 ? null : map.TargetMethods[index];
        return target is not null && method.IsGenericMethod ? target.MakeGenericMethod(method.GetGenericArguments()) : target;
    }

    /// <summary>The class library never waits for simulated threads.</summary>
    private static bool IsFollowed(MethodBase method) =>
        method is MethodInfo && !method.IsAbstract && method.DeclaringType is { } type && type.Assembly != typeof(object).Assembly
        && type.Assembly != typeof(CoroutineCompiler).Assembly;
}
